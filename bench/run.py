"""The benchmark: figures against rivals, as ratios of one run. `make bench` calls it; the docs hold its tables.

usage: python bench/run.py [batch|music|events|learning|archive|summaries|delivery|scale …], default: all but scale,
which makes and works through ten times the data and more, to see what it leaves as it was (`make bench-scale`).

Figures of short processes are the median of three fresh ones; longer ones, and what lasts for a stated time, run
once. CPU is user plus system time of the process, imports included. Data and models lie in .bench/ and are
made once (bench/generate.py). Standard error says what took how long.
"""

import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PARTITION = "2026-11-20"
MONDAY = "2026-11-23"
REPEATS = 3
# Bytecode is kept, as on any machine in use: else each process compiles its libraries again.
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


def run(script: str, *arguments: str, repeats: int = REPEATS) -> list[dict[str, Any]]:
    """What each of some fresh processes reported."""
    found = []
    for place in range(repeats):
        with timed(f"{script} {' '.join(Path(one).name for one in arguments)} ({place + 1}/{repeats})"):
            done = subprocess.run(
                [sys.executable, f"bench/{script}", *arguments],
                cwd=ROOT, env=ENVIRONMENT, check=True, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
        found.append(json.loads(done.stdout.strip().splitlines()[-1]))
    return found


@contextmanager
def timed(name: str) -> Iterator[None]:
    """Say on standard error what has run, and how long."""
    start = time.monotonic()
    yield
    print(f"  {time.monotonic() - start:5.1f} s  {name}", file=sys.stderr, flush=True)


def home_by(script: str, *arguments: str) -> Path:
    """The home that a script makes where it is not there."""
    return (ROOT / printed(script, ".bench", *arguments).strip().splitlines()[-1]).absolute()


def median(runs: list[dict[str, Any]], key: str) -> float:
    """Median over the runs."""
    return statistics.median(one[key] for one in runs)


def equal(one: Path, other: Path, filters: tuple[str, ...] = ("trust", "eligibility", "frequency_cap")) -> bool:
    """Whether two results hold the same rows."""
    import polars as pl

    columns = ["record_id", "reason", *(f"refused_by_{name}" for name in filters), "quota_left"]
    frames = [pl.read_parquet(path).select(columns).sort("record_id") for path in (one, other)]
    return frames[0].equals(frames[1])


def row(name: str, runs: list[dict[str, Any]], ratio: str = "") -> str:
    """One line of the table."""
    return (
        f"| {name} | {median(runs, 'cpu_seconds'):.1f} | {median(runs, 'wall_seconds'):.1f}"
        f" | {max(one['max_rss_mib'] for one in runs):,.0f} | {ratio} |"
    )


def filters(home: Path, out: Path) -> list[str]:
    """The filter stage against hand-written Polars and pandas."""
    places = [str(home / "warehouse"), str(home / "lake" / "ledger" / "send_events"), PARTITION]
    ours, polars, pandas = out / "ours.parquet", out / "polars.parquet", out / "pandas.parquet"
    raw = str(out / "raw.parquet")
    run("filter_ours.py", "prepare", places[0], raw, repeats=1)
    run("filter_ours.py", *places, str(ours), raw, repeats=1)  # reads the files into memory once, for all
    results = {
        "ours": run("filter_ours.py", *places, str(ours), raw),
        "polars": run("filter_polars.py", *places, str(polars)),
        "pandas": run("filter_pandas.py", *places, str(pandas), repeats=1),
    }
    assert equal(ours, polars), "our filter stage and the hand-written Polars script differ"
    assert equal(ours, pandas), "our filter stage and the hand-written pandas script differ"
    cpu = {name: median(runs, "cpu_seconds") for name, runs in results.items()}
    return [
        row("filter stage, ours", results["ours"]),
        row("filter stage, hand-written Polars", results["polars"], f"ours ÷ this = {cpu['ours'] / cpu['polars']:.2f}"),
        row("filter stage, hand-written pandas", results["pandas"], f"ours ÷ this = {cpu['ours'] / cpu['pandas']:.2f}"),
    ]


def partition(home: Path) -> list[str]:
    """Raw to rendered campaigns, through Dagster and without it."""
    prepare(home)
    direct, dagster = (run("partition.py", way, str(home), PARTITION, repeats=1) for way in ("direct", "dagster"))
    over = median(dagster, "cpu_seconds") / median(direct, "cpu_seconds") - 1
    wall = median(dagster, "wall_seconds") / median(direct, "wall_seconds") - 1
    stages = ", ".join(f"{name} {seconds:.1f}" for name, seconds in direct[0]["stages"].items())
    return [
        row(f"whole partition, functions called directly ({stages} s)", direct),
        row("whole partition, one run through Dagster", dagster, f"over direct: {over:+.0%} CPU, {wall:+.0%} wall"),
    ]


def prepare(home: Path, partition: str = PARTITION, *program: str) -> None:
    """Models, and Dagster's database, where a home has none yet: neither is what is measured."""
    if not (home / "models").exists():
        run("partition.py", "model", str(home), partition, *program, repeats=1)


def large(home: Path, small: Path) -> list[str]:
    """Ten times the deliveries: memory must stay bounded."""
    if not (home / "models").exists():
        (home / "models").symlink_to(small / "models")
    runs = run("partition.py", "dagster", str(home), PARTITION, repeats=1)
    return [row("whole partition of 5,000,000 deliveries, one run through Dagster", runs)]


def music_filters(home: Path, out: Path) -> list[str]:
    """The filter stage of the music program against hand-written Polars."""
    places = [str(home / "warehouse"), str(home / "lake" / "ledger" / "send_events"), PARTITION]
    ours, polars, raw = (str(out / f"{name}.parquet") for name in ("ours", "polars", "raw"))
    run("filter_ours.py", "music", places[0], raw, PARTITION, repeats=1)
    found = {
        "ours": run("filter_ours.py", *places, ours, raw, "music-feedback"),
        "polars": run("music_filter_polars.py", *places, polars, raw),
    }
    filters = ("trust", "eligibility", "engagement", "frequency_cap")
    assert equal(Path(ours), Path(polars), filters), "our filter stage and the hand-written Polars script differ"
    ratio = median(found["ours"], "cpu_seconds") / median(found["polars"], "cpu_seconds")
    return [
        row("filter stage, ours", found["ours"]),
        row("filter stage, hand-written Polars", found["polars"], f"ours ÷ this = {ratio:.2f}, target 1.3"),
    ]


def one(script: str, *arguments: str) -> dict[str, Any]:
    """What one fresh process reported."""
    return run(script, *arguments, repeats=1)[0]


def best(script: str, *arguments: str, key: str) -> dict[str, Any]:
    """Of three fresh processes the one of the median."""
    runs = sorted(run(script, *arguments), key=lambda found: found[key])
    return runs[len(runs) // 2]


def line(*cells: str) -> str:
    """One line of the second table: what, figure, target, what stands beside it."""
    return f"| {' | '.join(cells)} |"


def sending() -> list[str]:
    """Messages, ledger, and whole deliveries to real servers."""
    letters = best("letters.py", "3000", key="linked_ms")
    ours, theirs = letters["linked_ms"], letters["email_message_ms"]
    beside = f"`EmailMessage`: {theirs:.2f} ms, {theirs / ours:.0f} times as much"
    lines = [line("a message built, links signed", f"{ours:.2f} ms CPU", "under 0.5", beside)]
    for database, target in (("sqlite", "40,000"), ("postgresql", "15,000")):
        claiming = ("ledger.py", database, "2000", "1")
        alone = best(*claiming, key="claims_per_second") if database == "sqlite" else one(*claiming)
        shared = one("ledger.py", database, "500", "2")
        wins = " and ".join(f"{won:,}" for won in shared["won"])
        beside = f"two processes on the same keys, batches of 500: {shared['claims_per_second']:,} a second, won {wins}"
        figure = f"{alone['claims_per_second']:,} a second"
        lines.append(line(f"durable claims, {database}, batches of 2,000", figure, target, beside))
    for server, connections, target in (("aiosmtpd", "8", "300"), ("sink", "32", "1,000")):
        found = one("handover.py", server, "10000", connections)
        figure = f"{found['messages_per_second']:,} messages a second"
        beside = f"{found['cpu_ms']:.2f} ms CPU a message, server aside"
        lines.append(
            line(f"handed over to {server}, ledger included, {connections} connections", figure, target, beside)
        )
        found = one("delivery.py", server, "10000", connections)
        figure = f"{found['messages_per_second']:,} messages a second"
        beside = f"{found['cpu_ms']:.2f} ms CPU a message, server aside"
        lines.append(line(f"whole delivery to {server}: checks, claims, letters and statuses too", figure, "", beside))
    return lines


def stores(folder: Path) -> list[str]:
    """The candidate store's batches."""
    for path in folder.glob("store-put.db*"):
        path.unlink()
    found = one("store.py", "put", str(folder / "store-put.db"), "200000")
    walls = {name: f"{found[name]['wall']:.1f} s" for name in ("new", "unchanged", "rescored")}
    return [
        line("200,000 candidates upserted", walls["new"], "2.5", f"all scores changed: {walls['rescored']}"),
        line("the same again, unchanged", walls["unchanged"], "1.5", ""),
    ]


def serving(folder: Path, rows: int) -> list[str]:
    """The service under load, with a writer beside."""
    found = one("serving.py", str(folder), "--rows", str(rows), "--seconds", "6", "--minute")
    customer, page, first = found["customer_query"], found["channel_first_page"], found["first_customer_query"]
    anew = found["channel_first_page_of_another_question_each_time"]
    ndjson, arrow = (statistics.median(found[f"stream_{name}"]) for name in ("ndjson", "arrow"))
    loaded = [found[f"customer_query_during_{name}"]["p99"] for name in ("ndjson", "arrow")]
    at = f"{rows:,} candidates, 200/s"
    return [
        line(
            f"customer query, {at}",
            f"P99 {customer['p99']} ms",
            "10",
            f"P50 {customer['p50']}, most {customer['max']}; beside streams of another process P99"
            f" {loaded[0]} (NDJSON), {loaded[1]} (Arrow)",
        ),
        line(
            f"first page of a channel, {at}",
            f"P99 {page['p99']} ms",
            "15",
            f"P50 {page['p50']}, most {page['max']}; another question each time: P50 {anew['p50']}, P99 {anew['p99']}",
        ),
        line(f"first minute, {at}", f"most {first['max']} ms", "50", f"P99 {first['p99']}"),
        line("best 50,000 streamed: NDJSON, Arrow", f"{ndjson:.2f} s, {arrow:.2f} s", "1.2, 0.8", ""),
    ]


def asking(folder: Path) -> list[str]:
    """Questions by voice and their answers, with a writer beside."""
    found, plain = one("voice.py", str(folder), "--real-time"), one("voice.py", str(folder), "--seconds", "30")
    first, every, usual = "real-time" if found["real_time"] else "real-time not granted", found["all"], plain["all"]
    beside = f"P50 {every['p50']}, most {every['max']}; without: P99 {usual['p99']}, P50 {usual['p50']}"
    return [line(f"voice: prompts and answers, 200/s, {first}", f"P99 {every['p99']} ms", "10", beside)]


def told(script: str, *arguments: str) -> list[dict[str, Any]]:
    """All lines that a script of several rivals printed."""
    return [json.loads(line) for line in printed(script, *arguments).strip().splitlines()]


def whole(script: str, *arguments: str) -> dict[str, Any]:
    """The one document that a script printed."""
    found: dict[str, Any] = json.loads(printed(script, *arguments))
    return found


def printed(script: str, *arguments: str) -> str:
    """What a fresh process of a script printed."""
    with timed(script):
        done = subprocess.run(
            [sys.executable, f"bench/{script}", *arguments],
            cwd=ROOT, env=ENVIRONMENT, check=True, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
    return done.stdout


def models(folder: Path) -> list[str]:
    """The point-in-time join beside Feast, scoring beside the bare estimator, retraining."""
    lines = []
    for found in [*told("point_in_time.py", str(folder)), *told("feast_point_in_time.py", str(folder))]:
        figure = f"{found['cpu_seconds']:.1f} CPU s ({found['join_cpu_seconds']:.1f} without imports)"
        beside = f"{found['wrong']:,} of {found['cells']:,} cells wrong, {found['not_yet_known']:,} not yet known then,"
        beside += f" {found['lost']:,} entities lost; {found['max_rss_mib']:,} MiB"
        target = "0 wrong, 0 lost, 600 MiB, less than Feast" if found["way"] == "ours" else ""
        lines.append(line(f"point-in-time join, 200,000 entities, 20 M rows: {found['way']}", figure, target, beside))
    scored = one("scoring.py")
    ours, direct = scored["ours"], scored["direct"]
    beside = (
        f"CPU {ours['cpu']:.2f} s ours, {direct['cpu']:.2f} s direct; wall {ours['wall']:.2f}, {direct['wall']:.2f}"
    )
    ratio = f"{scored['ratio_cpu']:.2f} of the bare estimator's CPU, {scored['ratio_wall']:.2f} of its wall time"
    lines.append(line("200,000 rows of 20 features scored", ratio, "1.2", beside))
    trained = one("retraining.py")
    figure = f"{trained['train_seconds'] + trained['judge_seconds']:.0f} s, {trained['max_rss_mib']:,} MiB"
    beside = f"ROC AUC {trained['roc_auc']:.3f}, calibration error {trained['calibration_error']:.4f}"
    lines.append(line("retraining on 1,000,000 examples, judged", figure, "120 s, 3,072 MiB", beside))
    return lines


def archive(folder: Path) -> list[str]:
    """The demand archive's core beside a typical implementation, in turns."""
    changes = str(folder / "archive.ndjson")
    pairs = [(one("archive.py", changes), one("archive_rival.py", changes, "10000")) for _ in range(REPEATS)]
    ours, rival = (statistics.median(pair[place]["records_per_cpu_second"] for pair in pairs) for place in (0, 1))
    times = statistics.median(a["records_per_cpu_second"] / b["records_per_cpu_second"] for a, b in pairs)
    beside = f"boto3's deserializer and fastavro: {rival:,.0f}, ours ÷ this = {times:.1f}"
    return [line("changes → Avro", f"{ours:,.0f} records per CPU second", "15,000, 4 times the rival", beside)]


def questions(folder: Path) -> list[str]:
    """SQL over the archive, beside reading all of its files for each question."""
    home = str(folder / "archive-sql")
    if not Path(home).exists():
        one("archive_sql.py", "make", home)
    without = one("archive_sql.py", "without", home)
    first = best("archive_sql.py", "first", home, key="seconds")
    more, polars = one("archive_sql.py", "following", home), one("archive_sql.py", "polars", home)
    assert first["answer"] == without["answer"] == polars["answer"], "the archive's mirror and its files differ"
    beside = f"polars reads all files each time: {polars['seconds']:.1f} s, {polars['cpu_seconds']:.1f} CPU s"
    slowest = (
        f"the slowest {more['slowest_seconds']:.2f} s; all of demand_current counted {more['current_seconds']:.2f} s"
    )
    what = "SQL over 1,000,000 records in 6,000 files"
    return [
        line(f"{what}, first of a process, without a mirror", f"{without['seconds']:.1f} s", "15 s", beside),
        line(f"{what}, first of a process, mirror up to date", f"{first['seconds']:.2f} s", "2 s", ""),
        line(f"{what}, further ones", f"{more['following_seconds']:.3f} s", "0.2 s", slowest),
    ]


def surge() -> list[str]:
    """50,000 changes through a local Kinesis: all at once, and as they come."""
    drained = one("archive_surge.py", "backlog")
    counts = f"{drained['archived']:,} archived, {drained['errors']} errors"
    files = f"{drained['data_files']} files, {drained['files_after_compaction']} after compaction"
    memory = f"{drained['worker_rss_mib']} MiB"
    paced = one("archive_surge.py", "pace", "--seconds", "30")
    return [
        line(
            "50,000 changes of 4 shards drained", f"{drained['seconds']:.1f} s, {memory}", "20 s, 300 MiB",
            f"{counts}, {files}",
        ),
        line(
            "put → queryable at 167 changes a second", f"P99 {paced['p99']} s", "5 s",
            f"P50 {paced['p50']}, most {paced['max']} s; {paced['data_files']} files in half a minute",
        ),
    ]  # fmt: skip


def registering(folder: Path) -> list[str]:
    """Everybody wants a seat at once; and who is interested in which event."""
    found = one("registration.py", "sqlite", str(folder))
    is_right = found["exact"] and found["without_gaps"] and not found["lost"] and not found["overtaken"]
    assert is_right, f"seats or the line are wrong: {found}"
    beside = f"P50 {found['p50']}, most {found['max']}; {found['cpu']} ms CPU a request"
    what = f"registration: {found['people']:,} people for {found['seats']:,} seats in {found['seconds']:.0f} s, SQLite"
    lines = [line(what, f"P99 {found['p99']} ms", "50", beside)]
    matched = whole("interests.py")
    assert matched["equal"], "our interest match and the hand-written one differ"
    cpu = f"{matched['ours']['cpu_seconds']:.1f} and {matched['by_hand']['cpu_seconds']:.1f} CPU s"
    figure = f"{matched['cpu_ratio']:.2f} times hand-written Polars"
    what = f"interest match, {matched['profiles']:,} profiles × {matched['events']} events"
    return [*lines, line(what, figure, "1.5", cpu)]


def has_spark() -> bool:
    """Whether PySpark and Java are there."""
    return importlib.util.find_spec("pyspark") is not None and shutil.which("java") is not None


def summaries(folder: Path, events: str = "2000000") -> list[str]:
    """The summary tables beside decoding, raw maps and PySpark; a day's run; silver beside parsing."""
    place = str(folder / "summaries")
    one("summaries.py", "make", place, events)
    ways = ["tables", "decode", "raw", *(["spark"] if has_spark() else [])]
    found = {way: one("summaries.py", way, place, events) for way in ways}
    answers = {way: told["answer"] for way, told in found.items() if "answer" in told}
    assert len(set(answers.values())) == 1, f"the ways give different tables: {answers}"
    ours, decoded = found["tables"], found["decode"]
    ratio = {way: told["cpu"] / ours["cpu"] for way, told in found.items()}
    lines = [
        line(
            f"16 tables of a service and day, {int(events):,} events of two services in 90 days",
            f"{ours['cpu']:.2f} CPU s, {ours['max_rss_mib']:,} MiB; {1 / ratio['decode']:.2f} times decoding",
            "2 times, 1,536 MiB",
            f"decoding {decoded['cpu']:.2f} s, all at once {decoded['once']:.2f} s",
        ),
        line("the same from raw maps", f"{ratio['raw']:.1f} times as much", "5", f"{found['raw']['cpu']:.1f} CPU s"),
    ]
    if "spark" in found:
        figure, beside = f"{ratio['spark']:.0f} times as much", f"{found['spark']['cpu']:.0f} CPU s, once, cold"
        lines.append(line("the same on PySpark, local[2]", figure, "15", beside))
    day = one("summaries.py", "daily", place, events)
    beside = f"{day['cpu_90']:.2f} and {day['cpu_180']:.2f} CPU s, {day['max_rss_mib']:,} MiB; {day['days_made']} dates"
    lines.append(line("a day's run, 180 kept days to 90", f"{day['ratio']:.2f}", "0.8 to 1.2", beside))
    silver = one("summaries.py", "silver", place, "500000")
    figure = f"{silver['to_maps']:.2f} times parsing"
    beside = f"{silver['megabytes']} MB: {silver['silver']:.1f} CPU s, parsing to maps {silver['maps']:.1f}"
    beside += f", to columns as guessed {silver['guessed']:.1f}"
    lines.append(line("silver from NDJSON", figure, "2", beside))
    return lines


def batch(folder: Path) -> list[str]:  # noqa: ARG001 - parts are called alike
    """The whole batch and its filters."""
    small = home_by("generate.py", "--deliveries", "500000")
    out = small / "results"
    out.mkdir(exist_ok=True)
    return [
        "| 500,000 deliveries, 3 M customers, 5 M sends, 10 M reviews | CPU s | wall s | peak MiB | ratio |",
        "|---|---:|---:|---:|---|",
        *filters(small, out),
        *partition(small),
    ]


def music(folder: Path) -> list[str]:
    """The batch of the music program, whole, and its filters; its playlists."""
    home = home_by("generate_music.py")
    out = home / "results"
    out.mkdir(exist_ok=True)
    place = (home, PARTITION, "music-feedback")
    prepare(*place)
    return [
        "| 2,000,000 plays of 1 M listeners, 20 M earlier, 10 M feedbacks | CPU s | wall s | peak MiB | ratio |",
        "|---|---:|---:|---:|---|",
        *music_filters(home, out),
        row(
            "whole partition, one run through Dagster",
            run("partition.py", "dagster", *map(str, place), repeats=1),
            "under 45 s, 1,536 MiB",
        ),
        "",
        heading("playlists"),
        *playlists(folder),
    ]


def playlists(folder: Path) -> list[str]:
    """The update of a day after another, beside a script that counts all answers anew."""
    place = folder / "playlists"
    if not (place / "lake").exists():
        one("playlists.py", "make", str(place))
    else:
        one("playlists.py", "ours", str(place))  # reads the files into memory once, for all
    ours, rival = best("playlists.py", "ours", str(place), key="cpu_seconds"), one("playlists.py", "duckdb", str(place))
    figure = f"{ours['update_seconds']:.1f} s, {ours['cpu_seconds']:.1f} CPU s with imports and Dagster"
    beside = f"DuckDB, all answers anew: {rival['wall_seconds']:.1f} s, {rival['cpu_seconds']:.1f} CPU s;"
    beside += f" {ours['max_rss_mib']:,} MiB, load {ours['load']}"
    return [line("20,000 new of 10,020,000 answers, 200,000 tracks: playlists updated", figure, "5 s", beside)]


def events(folder: Path) -> list[str]:
    """The batch of event invitations, whole; registration, and the interest match."""
    home = home_by("generate_events.py")
    place = (home, MONDAY, "event-invitations")
    prepare(*place)
    return [
        "| 3,000,000 rows of profile × event, 5 M sends, 5 M registrations | CPU s | wall s | peak MiB | ratio |",
        "|---|---:|---:|---:|---|",
        row(
            "whole partition, one run through Dagster",
            run("partition.py", "dagster", *map(str, place), repeats=1),
            "under 60 s, 1,536 MiB",
        ),
        "",
        heading("event invitations"),
        *registering(folder),
    ]


def learning(folder: Path) -> list[str]:
    """Features and models."""
    return [heading("features and models"), *models(folder)]


def archiving(folder: Path) -> list[str]:
    """The demand archive."""
    return [heading("demand archive"), *archive(folder), *questions(folder), *surge()]


def summarising(folder: Path) -> list[str]:
    """Commerce and behaviour summaries."""
    return [heading("summaries of log events"), *summaries(folder)]


def delivering(folder: Path) -> list[str]:
    """Sends, the store and the service."""
    return [heading("delivery and serving"), *sending(), *stores(folder), *serving(folder, 200_000), *asking(folder)]


def scale(folder: Path) -> list[str]:
    """Ten times the deliveries, fifty times the candidates."""
    small, big = (home_by("generate.py", "--deliveries", count) for count in ("500000", "5000000"))
    prepare(small)
    return [
        "| 5,000,000 deliveries, 3 M customers, 5 M sends, 10 M reviews | CPU s | wall s | peak MiB | ratio |",
        "|---|---:|---:|---:|---|",
        *large(big, small),
        "",
        heading("serving at scale"),
        *serving(folder, 10_000_000),
    ]


def heading(name: str) -> str:
    """The first two lines of a table."""
    return f"| {name} | figure | target | beside it |\n|---|---|---|---|"


PARTS = {
    "batch": batch,
    "music": music,
    "events": events,
    "learning": learning,
    "archive": archiving,
    "summaries": summarising,
    "delivery": delivering,
}
LARGE = {"scale": scale}


def main() -> None:
    """Print the tables of the parts that are named, else of PARTS."""
    parts = PARTS | LARGE
    names = sys.argv[1:] or list(PARTS)
    if unknown := set(names) - parts.keys():
        sys.exit(f"{', '.join(sorted(unknown))}: no part of the benchmark; there are {', '.join(parts)}")
    for name in names:
        print("\n".join(parts[name](ROOT / ".bench")) + "\n", flush=True)


if __name__ == "__main__":
    main()
