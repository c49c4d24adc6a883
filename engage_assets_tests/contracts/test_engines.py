"""One definition, several engines: each function of the decision path gives the same rows on all of them.

The inputs are a day of the sample world and rows made to be awkward. What Polars makes of frames in memory is what
the engines are compared with; Polars itself then reads the same rows from files, in another order.
"""

import random
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import duckdb
import narwhals as nw
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from engage_assets.candidates.contract import check_contract
from engage_assets.candidates.duplicates import refuse_duplicates
from engage_assets.channels.lists import final_reasons, judge_for_list
from engage_assets.connectors.duckdb import DuckDBConnector
from engage_assets.connectors.warehouse import Warehouse
from engage_assets.decisions import count_reasons, decide
from engage_assets.defs import list_stages, stages
from engage_assets.defs.batch import Batch
from engage_assets.domain.facts import latest_known, stated_once
from engage_assets.domain.program import Program
from engage_assets.domain.sources import INPUT_TABLES, SOURCES
from engage_assets.domain.tables import INTERACTIONS_LOG, LIST_VERDICTS, OPT_OUT_LOG, RESPONSES_LOG, SENDS_LOG, declared
from engage_assets.filters import judge
from engage_assets.filters.asking import Asking
from engage_assets.filters.facts import join_facts
from engage_assets.outcomes.attribution import outcomes, unsolicited
from engage_assets.outcomes.metrics import measure
from engage_assets.outcomes.volume import answer_volume
from engage_assets.programs import load_folder
from engage_assets.scoring.bands import band, histogram
from engage_assets_tests.defs.small_events import add_version, make_events
from engage_assets_tests.filters.inviting import EVENTS as INVITING
from engage_assets_tests.filters.inviting import MONDAY
from engage_assets_tests.filters.listening import MUSIC
from engage_assets_tests.outcomes import listening
from engage_assets_tests.sample.worlds import FIRST_DAY, MARKETPLACES, MUSIC_MARKETPLACES, both_worlds, small_world
from engage_assets_tests.test_decisions import FLAGS, PROGRAM, FakeScorer, a_batch, a_history, run

PARTITION = FIRST_DAY + timedelta(days=6)
NOW = PROGRAM.cadence.batch_instant(PARTITION)
NIGHT = PARTITION + timedelta(days=1)
TICK = timedelta(microseconds=1)
ALL_MARKETPLACES = load_folder(Path(__file__).parent.parent.parent / "programs").marketplaces
CHANNELS = ["email", "banner"]
STANDING = ["account_status", "fraud_score", "trust_score"]
STRANGE = ["", " ", "\t", "\u00a0", "\u3000", "\x0b", "\x85", "'", '"', "\\", "%", "Ä", "a\u0308", "日本", "🎁", "C-1"]
"""Texts that engines may see differently: blank in several ways, quotes, letters beyond ASCII."""

Frame = nw.LazyFrame[Any]
ToEngine = Callable[[pl.DataFrame], Frame]
Day = dict[str, pl.DataFrame]


# --- the engines ------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["polars", "duckdb", pytest.param("pyspark", marks=pytest.mark.spark)])
def on_engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ToEngine]:
    """Hands a frame to an engine."""
    if request.param == "polars":
        folder = tmp_path_factory.mktemp("frames")
        yield lambda frame: from_file(frame, folder)
    elif request.param == "duckdb":
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            yield lambda frame: nw.from_native(connection.from_arrow(frame.to_arrow()))
    else:
        session = request.getfixturevalue("spark")
        yield lambda frame: nw.from_native(session.createDataFrame(frame.to_arrow()))


def on_polars(frame: pl.DataFrame) -> Frame:
    return nw.from_native(frame.lazy())


def from_file(frame: pl.DataFrame, folder: Path) -> Frame:
    path = folder / f"{len(list(folder.iterdir()))}.parquet"
    frame.reverse().write_parquet(path)
    return nw.from_native(pl.scan_parquet(path))


def rows(made: Frame | pl.DataFrame) -> pl.DataFrame:
    """The rows in one order; integers, floats and instants of one width."""
    frame = made if isinstance(made, pl.DataFrame) else made.collect("polars").to_native()
    cast: dict[str, pl.DataType] = {
        name: pl.Int64() if dtype.is_integer() else pl.Datetime("us")
        for name, dtype in frame.schema.items()
        if dtype.is_integer() or isinstance(dtype, pl.Datetime)
    }
    # Of lists that are all empty Polars forgets what they hold when it reads them from a file.
    cast |= {name: pl.List(pl.String()) for name, dtype in frame.schema.items() if dtype == pl.List(pl.Null())}
    return frame.cast(cast).sort(frame.columns, nulls_last=True)


# --- the functions, as the stages call them --------------------------------------------------------


def checked(to: ToEngine, day: Day) -> Frame:
    return check_contract(
        to(day["raw"]),
        to(day["customers"]),
        source=SOURCES["deliveries"],
        program=PROGRAM,
        marketplaces=MARKETPLACES,
        partition=PARTITION,
    )


def without_duplicates(to: ToEngine, day: Day) -> Frame:
    return refuse_duplicates(to(day["checked"]))


def judged(to: ToEngine, day: Day, *lacking: str) -> Frame:
    return judged_for(PROGRAM, to(day["candidates"]), to, day, *lacking)


def judged_for(program: Program, candidates: Frame, to: ToEngine, day: Day, *lacking: str) -> Frame:
    known = (*INPUT_TABLES, "send_events", "given_opt_outs")
    tables = {name: to(day[name]) for name in known if name in day and name not in lacking}
    available = declared({name: day[name].columns for name in tables})

    def settled(frame: Frame) -> Frame:
        # Spark would plan all facts as one, which takes it minutes.
        return to(rows(frame)) if frame.implementation.is_pyspark() and program is MUSIC else frame

    return judge(
        join_facts(candidates, tables, Asking(program, NOW, settled, has_few_subjects=program is MUSIC)),
        program,
        available,
    )


def listened(to: ToEngine, plays: Day) -> pl.DataFrame:
    """A day of plays: the contract with its tracks, duplicates, bots and all other filters."""
    checked_plays = check_contract(
        to(plays["raw"]),
        to(plays["customers"]),
        source=SOURCES[MUSIC.source_table],
        program=MUSIC,
        marketplaces=MUSIC_MARKETPLACES,
        partition=PARTITION,
        subjects=to(plays["tracks"]),
    )
    found = rows(refuse_duplicates(checked_plays))
    refused = pl.col("reason").is_not_null()
    verdicts = judged_for(MUSIC, to(found.filter(~refused).drop("reason")), to, plays)
    return pl.concat([found.filter(refused), rows(verdicts.select(found.columns))])


def invited(to: ToEngine, day: Day) -> pl.DataFrame:
    """A Monday of invitations: the contract without dates, duplicates, the interest match, regions and zones."""
    source = SOURCES[INVITING.source_table]
    checked_profiles = check_contract(
        to(day["raw"]),
        to(day["customers"]),
        source=source,
        program=INVITING,
        marketplaces=ALL_MARKETPLACES,
        partition=MONDAY.date(),
    )
    found = rows(refuse_duplicates(checked_profiles))
    refused = pl.col("reason").is_not_null()
    tables = {name: to(frame) for name, frame in day.items() if name not in ("raw", "customers")}
    columns = {name: frame.columns for name, frame in day.items()} | {source.table.name: source.table.names}
    available = declared(columns) | {"events.is_open", "events.topics", "events.starts_at"}
    settled = Asking(INVITING, MONDAY, lambda frame: to(rows(frame)) if frame.implementation.is_pyspark() else frame)
    candidates = to(found.filter(~refused).drop("reason"))
    verdicts = judge(join_facts(candidates, tables, settled), INVITING, available)
    return pl.concat([found.filter(refused), rows(verdicts.select(found.columns))])


def for_the_list(to: ToEngine, day: Day) -> Frame:
    return judge_for_list(to(day["scored"]), PROGRAM.list_channels[0])


def over_all_lists(to: ToEngine, day: Day) -> Frame:
    return final_reasons(to(day["list_verdicts"]), CHANNELS)


def decided(to: ToEngine, day: Day) -> Frame:
    return decide(
        to(day["set_aside"]),
        to(day["verdicts"]),
        to(day["scored"]),
        over_all_lists(to, day),
        program=PROGRAM,
        partition=PARTITION,
        model_version="fake-1",
        flags=FLAGS,
    )


def came_of_sends(to: ToEngine, day: Day) -> Frame:
    logs = [to(day[name]) for name in ("send_events", "interactions", "responses")]
    return outcomes(*logs, program=PROGRAM, partition=PARTITION, as_of=NIGHT)


def music_measured(to: ToEngine, day: Day) -> pl.DataFrame:
    """The figures of a program with thumbs, spoken questions, genres, several models, playlists and artists."""
    assert day
    return listening.measured(on=to, own=listening.given(on=to))


def asked_by_nobody(to: ToEngine, day: Day) -> Frame:
    logs = [to(day[name]) for name in ("send_events", "responses")]
    return unsolicited(*logs, program=PROGRAM, partition=PARTITION, as_of=NIGHT)


def measured(to: ToEngine, day: Day, **came: Any) -> pl.DataFrame:
    sends, how = to(day["send_events"]), {"program": PROGRAM, "partition": PARTITION, "as_of": NIGHT}
    return measure(to(day["decisions"]), sends=sends, batch=(12.5, 40), **how, **came)


def measured_with_outcomes(to: ToEngine, day: Day) -> pl.DataFrame:
    reviews = SOURCES["deliveries"].answers
    given = to(day[reviews.table.name]), to(day["responses"])
    volume = answer_volume(*given, answers=reviews, first_send=PARTITION, day=NIGHT)
    return measured(to, day, outcomes=to(day["outcomes"]), headroom=to(day["verdicts"]), unsolicited=1, volume=volume)


FUNCTIONS: dict[str, Callable[[ToEngine, Day], Frame | pl.DataFrame]] = {
    "check_contract": checked,
    "refuse_duplicates": without_duplicates,
    "join_facts and judge": judged,
    "judge without the optional tables": lambda to, day: judged(to, day, "orders", "returns", "opt_outs", "products"),
    "judge_for_list": for_the_list,
    "final_reasons": over_all_lists,
    "decide": decided,
    "count_reasons": lambda to, day: count_reasons(to(day["decisions"])),
    "band": lambda to, day: to(day["scored"]).with_columns(band=band("score")),
    "histogram": lambda to, day: histogram(to(day["scored"])),
    "histogram by marketplace": lambda to, day: histogram(to(day["scored"]), by=["marketplace"]),
    "outcomes": came_of_sends,
    "unsolicited": asked_by_nobody,
    "measure": measured,
    "measure with outcomes": measured_with_outcomes,
    "measure a program about tracks": music_measured,
    "stated_once": lambda to, day: stated_once(to(day["orders"]), "order_id"),
    "stated_once by two keys": lambda to, day: stated_once(to(day["order_items"]), "order_id", "product_id"),
    "latest_known": lambda to, day: latest_known(to(day["customer_trust"]), "customer_id", "known_at", STANDING),
    "latest_known of one instant": lambda to, day: latest_known(
        to(day["customer_trust"].with_columns(known_at=NOW)), "customer_id", "known_at", STANDING
    ),
}


SPARK_SOAKS = ["polars", "duckdb", pytest.param("pyspark", marks=[pytest.mark.spark, pytest.mark.soak])]
"""Long plans, over which Spark thinks for minutes."""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_engine_gives_the_same_rows(on_engine, day, name):
    expected = rows(FUNCTIONS[name](on_polars, day))
    assert not expected.is_empty()
    assert_frame_equal(rows(FUNCTIONS[name](on_engine, day)), expected, check_exact=True)


def test_the_day_holds_what_engines_could_see_differently(day):
    ends = set(day["decisions"]["reason"])
    assert {"KEY_MISSING", "DATE_INVALID", "VALUE_INVALID", "UNKNOWN_CUSTOMER", "DUPLICATE"} <= ends
    assert {"CUSTOMER_MISMATCH", "NOT_PURCHASED", "ACCOUNT_STATUS", "ALREADY_ASKED", "SUBJECT_CLOSED"} <= ends
    assert {"OPTED_OUT", "FREQUENCY_CAP", "NOT_SCORED", "LISTED"} <= ends
    assert day["decisions"]["reason"].null_count() == 0
    assert day["decisions"].height == day["raw"].height
    assert set(day["outcomes"]["outcome"]) == {"responded", "sent", "failed", "held_out", "skipped", "pending"}
    solicits = pl.col("is_solicitation").fill_null(value=True)
    asked = day["send_events"].filter(solicits, program=PROGRAM.program_id)["send_id"]
    assert day["outcomes"].height == asked.n_unique() < day["send_events"]["send_id"].n_unique()


@pytest.mark.parametrize("on_engine", SPARK_SOAKS, indirect=True)
def test_every_engine_gives_the_same_rows_of_plays(on_engine, plays):
    expected = rows(listened(on_polars, plays))
    ends = set(expected["reason"])
    assert {None, "KEY_MISSING", "DATE_INVALID", "VALUE_INVALID", "DUPLICATE", "BOT_ACTIVITY", "ENGAGEMENT_LOW"} <= ends
    assert_frame_equal(rows(listened(on_engine, plays)), expected, check_exact=True)


@pytest.mark.parametrize("on_engine", SPARK_SOAKS, indirect=True)
def test_every_engine_gives_the_same_rows_of_invitations(on_engine, invitations):
    expected = rows(invited(on_polars, invitations))
    ends = set(expected["reason"])
    assert {None, "KEY_MISSING", "DUPLICATE", "INTEREST_LOW", "REGION", "TIME_ZONE", "SUBJECT_CLOSED"} <= ends
    assert_frame_equal(rows(invited(on_engine, invitations)), expected, check_exact=True)


# --- the inputs -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def invitations(tmp_path_factory: pytest.TempPathFactory) -> Day:
    """What `invited` reads: a tiny world's Monday, one event full, profiles again later and under strange names."""
    warehouse, monday = tmp_path_factory.mktemp("invitations"), date(2026, 11, 23)
    make_events(warehouse, last_monday=monday, weeks=3)
    add_version(warehouse, "e03-1", starts_at=datetime(2026, 12, 2, 5), known_at=MONDAY)  # noqa: DTZ001
    add_version(warehouse, "e03-0", event_id="e03-2", capacity=0)
    batch = Batch(INVITING, monday, ALL_MARKETPLACES, Warehouse(warehouse))
    raw = pl.concat(
        [pl.DataFrame(part) for part in DuckDBConnector(batch.warehouse).read(INVITING, monday, batch.asked)]
    )
    some = raw.filter(pl.col("interest_tags").list.len() > 0).row(0, named=True)
    others = [{"customer_id": None}, {"customer_id": " "}, {"updated_at": NOW}, {"updated_at": None}]
    others += [{"interest_tags": tags} for tags in (None, [], [None], STRANGE, ["DEVOPS\u3000", "ML"])]
    copies = [{**some, **change, "record_id": f"odd-{place}"} for place, change in enumerate(others)]
    copies += [
        {**some, "customer_id": f"c-{place:03}", "record_id": f"odd-{place}", "geographic_region": region,
         "interest_tags": ["cloud_Computing", "statistics", *STRANGE]}
        for place, region in enumerate([None, *STRANGE, "US", "DE"], start=100)
    ]  # fmt: skip
    tables = {name: frame.collect() for name, frame in batch.stated(batch.instant).items()}
    log = {
        "send_events": pl.DataFrame(schema=SENDS_LOG.schema),
        "given_opt_outs": pl.DataFrame(schema=OPT_OUT_LOG.schema),
    }
    return {**tables, **log, "raw": pl.concat([raw, pl.DataFrame(copies, schema=raw.schema)])}


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    """Every frame that a function reads, each made on Polars by the function before it."""
    warehouse = tmp_path_factory.mktemp("warehouse")
    small_world(warehouse, days=7, history_days=14, customers=900)
    batch = a_batch(warehouse, PARTITION)
    first = run(batch)
    read = [name for name in batch.tables if name != PROGRAM.source_table]
    day = {name: batch.tables[name].collect() for name in read}
    good = first.verdicts.filter(pl.col("reason").is_null()).row(0, named=True)
    day["raw"] = strange_records(first.raw, good)
    day |= {name: strange_rows(day[name], first.raw, spared=good) for name in read}

    log = list(a_history(first.verdicts, NOW, random.Random(1)))
    campaign = f"product-reviews:email:{PARTITION}:DE"
    day["send_events"] = pl.DataFrame(log, schema=SENDS_LOG.schema).with_columns(campaign_id=pl.lit(campaign))
    day |= what_came_back(log, random.Random(2))
    opt_outs = [{**dict.fromkeys(OPT_OUT_LOG.names), "customer_id": row["customer_id"]} for row in log[::40]]
    day["given_opt_outs"] = pl.DataFrame(opt_outs, schema=OPT_OUT_LOG.schema)

    day["checked"] = rows(checked(on_polars, day))
    refused = rows(without_duplicates(on_polars, day)).lazy()
    day["set_aside"] = stages.set_aside_of(refused).collect()
    day["candidates"] = stages.candidates_of(batch, refused).collect()
    day["verdicts"] = rows(judged(on_polars, day))
    accepted = day["verdicts"].filter(pl.col("reason").is_null())
    day["scored"] = pl.concat([accepted, FakeScorer(5).score(accepted)], how="horizontal")
    day["list_verdicts"] = over_two_channels(list_stages.fill_lists(batch, day["scored"].lazy()))
    day["decisions"] = rows(decided(on_polars, day))
    day["outcomes"] = rows(came_of_sends(on_polars, day))
    return day


@pytest.fixture(scope="module")
def plays(tmp_path_factory: pytest.TempPathFactory) -> Day:
    """What `listened` reads: a small world's day, rows made to be awkward among it, and bots of every kind."""
    warehouse = tmp_path_factory.mktemp("listening")
    both_worlds(warehouse)
    batch = Batch(MUSIC, PARTITION, MUSIC_MARKETPLACES, Warehouse(warehouse))
    found = {name: frame.collect() for name, frame in batch.tables.items()}
    raw = pl.concat([pl.DataFrame(part) for part in DuckDBConnector(batch.warehouse).read(MUSIC, PARTITION)])
    odd = {
        "listener_id": [None, *STRANGE],
        "genre": [None, *STRANGE],
        "track_release_date": [None, NOW.date(), NOW.date() + timedelta(days=1)],
        "played_at": [None, datetime(2000, 1, 1) - TICK, NOW, NOW + TICK],  # noqa: DTZ001 - instants are UTC
        "engagement_score": [None, float("inf"), -0.0, 0.6, 1.0, 1.0 + 1e-12],
        "play_count": [None, 0, 1],
    }
    checked_plays = pl.concat(stages.check_records(batch, raw.lazy()))
    good = checked_plays.filter(pl.col("reason").is_null(), pl.col("engagement_score") > 0.6)["record_id"]
    some = raw.filter(pl.col("record_id") == good[0]).row(0, named=True)
    copies = [{**some, name: value} for name, values in odd.items() for value in values]
    numbered = [{**copy, "record_id": f"odd-{place}"} for place, copy in enumerate(copies)]
    regular = {"listener_id": some["listener_id"], "track_id": "t-odd", "device_id": "d"}  # regularly
    starts = [NOW - timedelta(hours=1) + timedelta(seconds=61 * place + place % 2) for place in range(20)]
    single = [{**regular, "started_at": at, "ended_at": at + timedelta(minutes=1)} for at in starts]
    found["plays"] = pl.concat([found["plays"], pl.DataFrame(single, schema=found["plays"].schema)])
    log = pl.DataFrame(schema=SENDS_LOG.schema), pl.DataFrame(schema=OPT_OUT_LOG.schema)
    return {
        **found,
        "raw": pl.concat([raw, pl.DataFrame(numbered, schema=raw.schema)]),
        "send_events": log[0],
        "given_opt_outs": log[1],
    }


def what_came_back(log: list[dict[str, Any]], rng: random.Random) -> Day:
    """Interactions with the sends of a log, and answers, with instants around every limit."""
    night = datetime.combine(NIGHT, time(23, 59))
    touched, answers = [], {}
    for place, event in enumerate(rng.sample(log, len(log) // 2)):
        at = event["at"] + rng.choice([-TICK, timedelta(), TICK, timedelta(days=14), timedelta(days=14) + TICK])
        known = {"send_id": event["send_id"], "at": at, "received_at": rng.choice([at, night, night + TICK])}
        touch = {"kind": rng.choice(["open", "click", "bounce", "complaint", "delivered"]), "event_id": f"e-{place}"}
        touch |= {"machine_rule": rng.choice([None, *STRANGE]), "is_permanent": rng.choice([None, True, False])}
        touched += [known | touch] * rng.choice([1, 2])
        key = (event["program"], event["customer_id"], event["subject_id"])
        answer = {"response_id": f"r-{place}", "version": 1, "rating": rng.randint(1, 5), "photos": 0}
        answers[key] = known | answer | dict(zip(("program", "customer_id", "subject_id"), key, strict=True))
    edited = [one | {"version": 2, "rating": 6 - one["rating"]} for one in answers.values() if one["rating"] > 3]
    given = [*edited, *answers.values()] * 2
    return {
        "interactions": pl.DataFrame(touched, schema=INTERACTIONS_LOG.schema),
        "responses": pl.DataFrame(given, schema=RESPONSES_LOG.schema),
    }


def over_two_channels(verdicts: pl.DataFrame) -> pl.DataFrame:
    """The same rows also for another channel, with the reasons of other records."""
    other = verdicts.with_columns(pl.col("reason").reverse(), channel=pl.lit("banner"), rank=None)
    return pl.concat([verdicts, other.cast(dict(LIST_VERDICTS.schema))])


def strange_records(raw: pl.DataFrame, good: dict[str, Any]) -> pl.DataFrame:
    """The day's records, and copies of the `good` candidate's with something odd in one field each."""
    first, last = datetime(2000, 1, 1), NOW  # noqa: DTZ001 - instants are UTC without a zone
    odd: dict[str, list[Any]] = {
        "delivery_id": [None, *STRANGE],
        "customer_id": [None, *STRANGE],
        "product_id": [None, *STRANGE],
        "delivery_date": [None, first.date() - timedelta(days=1), first.date(), last.date(), date(2099, 1, 1)],
        "delivered_at": [None, first - TICK, first, last, last + TICK],
        "order_value": [None, float("inf"), float("-inf"), -0.0, -1e-300, 1.7976931348623157e308],
        "status": [None, "", "completed", "COMPLETED "],
    }
    record = raw.filter(pl.col("record_id") == good["record_id"]).row(0, named=True)
    copies = [{**record, field: value} for field, values in odd.items() for value in values]
    numbered = [{**copy, "record_id": f"{good['record_id']}#{place}"} for place, copy in enumerate(copies, start=2)]
    return pl.concat([raw, pl.DataFrame(numbered, schema=raw.schema)])


def strange_rows(table: pl.DataFrame, raw: pl.DataFrame, *, spared: dict[str, Any]) -> pl.DataFrame:
    """The table, and a few of its rows again: alike, contradicting, tied, and under strange keys.

    They concern customers, orders and products of the records in `raw`, except those of the candidate `spared`.
    """
    key = table.columns[0]
    mine = spared["subject_id"] if key == "product_id" else spared.get(key)
    concerned = table.filter(pl.col(key).is_in(raw[key].implode()), pl.col(key) != mine).sort(table.columns)
    some = concerned.gather_every(max(1, concerned.height // 6)) if concerned.height else table[:3]
    variants = [some]
    for name, dtype in table.schema.items():
        odd: list[Any] = [None]
        if dtype == pl.String:
            odd += STRANGE
        if dtype == pl.Float64:
            odd += [0.0, 0.00001, 0.000015, 0.001, 0.3, 0.35, 1.0]
        if dtype == pl.Datetime("us"):
            odd += [NOW, NOW + TICK]
        for place, value in enumerate(odd):
            variants.append(some[place % some.height].with_columns(pl.lit(value, dtype).alias(name)))
    return pl.concat([table, *variants])
