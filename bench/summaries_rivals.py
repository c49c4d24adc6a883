"""The 16 tables by rivals of bench/summaries.py: the same SQL on PySpark, and the same definitions on raw maps."""

import os
import time
from pathlib import Path
from typing import Any

import summaries as ours

from engage_assets.domain.summary_spec import AttributeNames, EventNames
from engage_assets.summaries.dialect import write
from engage_assets.summaries.engine import Engine, Limits
from engage_assets.summaries.queries import plan
from engage_assets.summaries.silver_engine import quoted, run, sql_text
from engage_assets.summaries.silver_records import raw_relation
from engage_assets.summaries.tables import TABLES, values


def spark(folder: Path) -> tuple[float, str]:
    """CPU of the session's processes, once, since a daily run starts cold.

    In its favour: it begins to count when the session stands, roll-ups are handed over ready-made, views that several
    tables share are kept in memory as ours are, and two partitions shuffle.
    """
    from pyspark.sql import SparkSession

    os.environ["TZ"] = "UTC"
    time.tzset()
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.memory": "6g",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.session.timeZone": "UTC",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
    }
    session = SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    relations = stored(folder)
    process = session.sparkContext._gateway.proc.pid  # noqa: SLF001 - the Java process
    before = cpu_of(process)
    made: dict[str, str] = {}
    rows = []
    for name, table in TABLES.items():
        todo = plan(table, values(table, ours.SERVICE, ours.LAST))
        names = {}
        for relation, span in todo.spans.items():
            own = [path for path in relations[relation] if not span or str(span.first) <= path.stem <= str(span.last)]
            names[relation] = made.setdefault(f"{relation} {span}", f"{relation}_{len(made)}")
            session.read.parquet(*map(str, own)).createOrReplaceTempView(names[relation])
        for view, query in todo.views.items():
            text = renamed(query, names)
            if text not in made:
                made[text] = f"{view}_{len(made)}"
                session.sql(f"CACHE TABLE {made[text]} AS {text}")
            names[view] = made[text]
        found = session.sql(renamed(todo.query, names)).collect()
        rows.append((name, [tuple(row.asDict(recursive=True).values()) for row in found]))
    spent = cpu_of(process) - before
    session.stop()
    return spent, ours.digest(rows)


def stored(folder: Path) -> dict[str, list[Path]]:
    """Files of each relation; those of roll-ups are written here."""
    import duckdb

    found = {}
    for name, given in ours.inputs(ours.desk(folder / str(ours.SHORT)).days).items():
        if isinstance(given, str):
            path = folder / "rolled" / f"{name}.parquet"
            path.parent.mkdir(exist_ok=True)
            duckdb.sql(f"COPY ({given}) TO {quoted(str(path))} (FORMAT parquet)")
            found[name] = [path]
        else:
            found[name] = given
    return found


def renamed(query: Any, names: dict[str, str]) -> str:
    """The query for Spark, over views of those names."""
    from sqlglot import exp

    query = query.copy()
    own = {cte.alias for cte in query.find_all(exp.CTE)}
    for node in query.find_all(exp.Table):
        if node.name in names and node.name not in own:
            alias = node.alias or node.name
            node.set("this", exp.to_identifier(names[node.name]))
            node.set("alias", exp.TableAlias(this=exp.to_identifier(alias)))
    return write(query, "spark")


def cpu_of(process: int) -> float:
    """User and system seconds of a process so far."""
    told = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")


def raw(folder: Path) -> tuple[float, str]:
    """Silver, atoms and tables out of the window's raw files, their attributes maps, once.

    In its favour: the maps are read once for all tables, by name, into a table in memory; nothing is stored.
    """
    days = ours.desk(folder / str(ours.SHORT)).days
    first, last = min(days.days()), ours.LAST
    # The first business day begins in the log of the UTC day before, which only the longer history still has.
    logs = ours.desk(folder / str(ours.LONG)).days.logs / ours.SERVICE
    files = sorted(path for path in logs.glob("*.parquet") if path.stem >= str(first - ours.DAY))
    before = time.process_time()
    with Engine({}, Limits(memory="8GB")) as engine:
        connection = engine._connection  # noqa: SLF001 - the same engine, with silver's macros
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(sql_text("silver/macros"))
        instants = {"start": f"{first - ours.DAY} 15:00:00", "until": f"{last} 15:00:00"}  # 00:00 in Seoul
        arrived = sql_text("silver/arrivals").replace("as_instant(at_text)", "instant").replace("$arrival", "arrival")
        run(connection, f"CREATE VIEW raw AS {maps(files)}")
        run(connection, f"CREATE TEMP TABLE arrivals AS {arrived}", service=ours.SERVICE)
        run(connection, "CREATE VIEW arrived AS SELECT * FROM arrivals WHERE fault IS NULL")
        for statement in sql_text("silver/near").split(";\n"):
            run(connection, bound(statement, instants))
        events = bound(sql_text("silver/events"), instants | {"service": ours.SERVICE})
        at_seoul = "CAST(near.event_time + INTERVAL 9 HOURS AS DATE)"
        events = events.replace("CAST($day AS DATE)", at_seoul).replace(":offset", str(9 * 3600))
        run(connection, f"CREATE TEMP TABLE events AS {events}")
        engine._inputs = atoms()  # noqa: SLF001 - as above
        found = [
            (name, [tuple(row.values()) for row in engine.result(table, values(table, ours.SERVICE, last)).to_pylist()])
            for name, table in TABLES.items()
        ]
    return time.process_time() - before, ours.digest(found)


def maps(files: list[Path]) -> str:
    """The relation that silver's SQL reads, its attributes straight out of the maps."""
    names = AttributeNames()
    fields = ", ".join(f"{quoted(name)}: attributes[{quoted(name)}]" for name in names.all)
    day = "CAST(parse_filename(filename, true) AS DATE)"
    paths = ", ".join(quoted(str(path)) for path in files)
    reader = (
        f'SELECT 0 AS file, {day} AS arrival, "timestamp" AS instant, CAST(NULL AS VARCHAR) AS "timestamp", body,'
        f" record_id, {{{fields}}} AS attributes, resource['service.name'] AS service_name,"
        " CAST(NULL AS VARCHAR) AS fingerprint, false AS is_blank, false AS is_odd, false AS is_hollow"
        f" FROM read_parquet([{paths}], filename = true)"
    )
    return raw_relation([reader], EventNames(), names).replace("fingerprint,", "fingerprint, arrival, instant,", 1)


def atoms() -> dict[str, str]:
    """Each relation that tables read, out of the events of all days."""
    by_day = {"session_day": "session_id", "user_day": "user_id"}
    found = {
        name: sql_text(f"atoms/{name}").replace(f"GROUP BY {key}", f"GROUP BY {key}, business_date")
        for name, key in by_day.items()
    }
    ledger = sql_text("atoms/purchase_ledger")
    found["purchase_ledger"] = ledger.replace("PARTITION BY order_id", "PARTITION BY order_id, business_date")
    relations = f"user_days AS ({found['user_day']}), session_days AS ({found['session_day']})"
    found["month_total"] = f"WITH {relations} SELECT * FROM ({sql_text('atoms/month_total')})"
    for kind, key, kept in (("user", "user_id", "true"), ("order", "order_id", "kind = 'purchase'")):
        found[f"{kind}_first_seen"] = (
            f"SELECT service, {key}, min(business_date) AS first_date FROM events"
            f" WHERE {key} IS NOT NULL AND {kept} GROUP BY service, {key}"
        )
    return found | {"events": "FROM events"}


def bound(statement: str, texts: dict[str, str]) -> str:
    """Parameters as literals, which views need."""
    for name, value in texts.items():
        kind = "" if name == "service" else "TIMESTAMP "
        statement = statement.replace(f"${name}", f"{kind}{quoted(value)}")
    return statement
