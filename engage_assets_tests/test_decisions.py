"""A partition from its records to its decisions, through the stages of a batch, on worlds with every known fault."""

import random
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engage_assets.connectors.duckdb import DuckDBConnector
from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs import feature_stages, list_stages, scoring_stages, stages
from engage_assets.defs.batch import Batch
from engage_assets.defs.ranges import customer_ranges
from engage_assets.domain.reasons import REASONS
from engage_assets.domain.sources import INPUT_TABLES
from engage_assets.domain.tables import DECISIONS, OPT_OUT_LOG, SENDS_LOG
from engage_assets.sample.world import REVIEWS_DATABASE, WorldSummary
from engage_assets_tests.builders import PRODUCT_REVIEWS, a_program
from engage_assets_tests.sample import rules
from engage_assets_tests.sample.worlds import FIRST_DAY, MARKETPLACES, partitions, small_world, tables

CONNECTOR = PRODUCT_REVIEWS["dataConnectors"][0]
EMAIL = {**PRODUCT_REVIEWS["channels"][0], "minScore": 0.2, "limit": 9}
PROGRAM = a_program(
    dataConnectors=[{**CONNECTOR, "config": {**CONNECTOR["config"], "arrivalColumn": "arrived_at"}}], channels=[EMAIL]
)
EXACT = [code for stage in ("contract", "duplicate", "trust") for code in REASONS[stage]]
FLAGS = ["refused_by_trust", "refused_by_eligibility", "refused_by_frequency_cap"]


class FakeScorer:
    """A score out of the keys, so that it depends on nothing else; each `refuses`-th candidate gets none."""

    version = "fake-1"

    def __init__(self, refuses: int = 9) -> None:
        self.refuses = refuses

    def score(self, features: pl.DataFrame) -> pl.DataFrame:
        keys = features.select("customer_id", "subject_id").iter_rows()
        drawn = [zlib.crc32("|".join(pair).encode()) for pair in keys]
        scores = [None if number % self.refuses == 0 else number % 1_000_001 / 1e6 for number in drawn]
        probabilities = [None if score is None else round(score / 5, 6) for score in scores]
        schema = {"probability": pl.Float64, "score": pl.Float64}
        return pl.DataFrame({"probability": probabilities, "score": scores}, schema=schema)


@dataclass
class Stages:
    """What each stage of a batch made."""

    raw: pl.DataFrame
    checked: pl.DataFrame
    verdicts: pl.DataFrame
    scored: pl.DataFrame
    listed: pl.DataFrame
    decisions: pl.DataFrame

    @property
    def closing(self) -> dict[str, int]:
        return stages.closing_counts(self.raw.lazy(), self.decisions.lazy())

    def reasons(self) -> Counter[str]:
        return Counter(self.decisions["reason"])


def run(batch: Batch, sends: pl.DataFrame | None = None, opt_outs: pl.DataFrame | None = None, scorer=None) -> Stages:
    read = DuckDBConnector(batch.warehouse).read(batch.program, batch.partition)
    raw = pl.concat([pl.DataFrame(part) for part in read])
    checked = pl.concat(stages.check_records(batch, raw.lazy()))
    candidates = stages.candidates_of(batch, checked).lazy()
    history = [None if frame is None else frame.lazy() for frame in (sends, opt_outs)]
    verdicts = pl.concat(stages.judge_candidates(batch, candidates, *history))
    accepted = stages.accepted_of(batch, verdicts).lazy()
    views = batch.program.used_views
    known = {view.view: pl.concat(feature_stages.view_features(batch, accepted, view)).lazy() for view in views}
    scored = pl.concat(scoring_stages.score(batch, accepted, known, scorer or FakeScorer()))
    listed = list_stages.fill_lists(batch, scored.lazy())
    ended = (stages.set_aside_of(checked).lazy(), verdicts.lazy(), scored.lazy(), listed.lazy())
    return Stages(raw, checked, verdicts, scored, listed, pl.concat(stages.decide_records(batch, *ended)))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, WorldSummary]:
    warehouse = tmp_path_factory.mktemp("warehouse")
    return warehouse, small_world(warehouse)


def a_batch(warehouse: Path, partition: date = FIRST_DAY + timedelta(days=6), program=PROGRAM, **how: Any) -> Batch:
    return Batch(program, partition, MARKETPLACES, Warehouse(warehouse), **how)


def test_every_partition_ends_its_records_for_the_reasons_that_the_world_put_there(made):
    """The sample says how many of a partition's records the contract, duplicates and trust refuse, and why."""
    everywhere: Counter[str] = Counter()
    deliveries = tables(made[0])["deliveries"].rows(named=True)
    for partition in partitions():
        done = run(a_batch(made[0], partition))
        assert done.raw.height == sum(rules.is_read_in(row, partition) for row in deliveries), partition
        counts = done.reasons()
        expected = {code: count for code, count in made[1].refusals(partition).items() if code in EXACT}
        assert {code: counts[code] for code in EXACT if counts[code]} == expected, partition
        assert done.closing == dict.fromkeys(("records", "decisions", "distinct"), done.raw.height) | {
            "without_reason": 0
        }
        assert stages.closes(done.closing)
        everywhere += counts
    late = {"ALREADY_ANSWERED", "SUBJECT_CLOSED", "OPTED_OUT", "NOT_SCORED", "CHANNEL_INELIGIBLE", "BELOW_MIN_SCORE"}
    assert {*EXACT, *late, "LISTED"} - everywhere.keys() == {"BOT_ACTIVITY"}


@pytest.fixture(scope="module")
def sends(made) -> pl.DataFrame:
    """A history of sends to some of the day's customers."""
    batch = a_batch(made[0])
    return pl.DataFrame(list(a_history(run(batch).verdicts, batch.instant, random.Random(2))), schema=SENDS_LOG.schema)


@pytest.fixture(scope="module")
def a_day(made, sends) -> Stages:
    return run(a_batch(made[0]), sends)


def test_a_decision_tells_how_its_record_ended(a_day):
    decisions = a_day.decisions
    assert decisions.columns == [*DECISIONS.names, *FLAGS]
    assert decisions.schema == {**DECISIONS.schema, **dict.fromkeys(FLAGS, pl.Boolean())}
    assert set(decisions["threshold"]) == {0.2}
    assert set(decisions["config_hash"]) == {PROGRAM.config_hash}
    assert set(decisions["model_version"]) == {"fake-1"}
    capped = decisions.filter(pl.col("reason") == "FREQUENCY_CAP")
    assert set(capped["stage"]) == {"frequency-cap", "list"}, "refused by the filter, and by better candidates"
    for row in decisions.iter_rows(named=True):
        flags = [row[flag] for flag in FLAGS]
        assert row["reason"] in REASONS[row["stage"]], row
        if row["stage"] in ("contract", "duplicate"):
            assert flags == [None, None, None], row
        elif row["stage"] in ("score", "list"):
            assert flags == [False, False, False], row
        else:
            assert row[f"refused_by_{row['stage'].replace('-', '_')}"], row
        assert (row["score"] is not None) == (row["stage"] == "list"), row
        assert (row["probability"] is not None) == (row["stage"] == "list"), row
        assert (row["channels"] == "email") == (row["reason"] == "LISTED"), row


def test_decisions_keep_the_records_keys(a_day):
    keys = ["record_id", "customer_id", "product_id"]
    told = a_day.decisions.select("record_id", "customer_id", product_id="subject_id")
    assert told.sort("record_id").equals(a_day.raw.select(keys).sort("record_id"))


def test_the_model_sees_what_was_known_at_the_batch_instant(made):
    batch = a_batch(made[0])
    world = tables(made[0])
    happened = [
        *world["orders"].select("customer_id", "ordered_at").iter_rows(),
        *world["reviews"].select("customer_id", "reviewed_at").iter_rows(),
    ]
    known = Counter(
        customer
        for customer, at in happened
        if at is not None and batch.instant - timedelta(days=90) < at <= batch.instant
    )
    scored = dict(run(batch).scored.select("customer_id", "engagement_score").iter_rows())
    assert scored == {customer: min(known[customer], 10) / 10 for customer in scored}
    assert len(set(scored.values())) > 1
    assert any(known[customer] < Counter(customer for customer, _ in happened)[customer] for customer in scored)


def test_candidates_without_a_score_end_as_not_scored(made):
    done = run(a_batch(made[0]), scorer=FakeScorer(refuses=1))
    scored = done.decisions.filter(pl.col("stage").is_in(["score", "list"]))
    assert set(scored["reason"]) == {"NOT_SCORED"}
    assert set(scored["stage"]) == {"score"}
    assert scored.height == done.scored.height > 0
    assert done.listed.is_empty()
    assert stages.closes(done.closing)


@pytest.mark.parametrize("channels", [[{**EMAIL, "enabled": False}], [{"channelId": "voice", "type": "voice"}]])
def test_without_a_channel_that_has_a_list_nobody_can_be_listed(made, channels):
    voice = {"prompt": "How was it?", "responseOptions": ["yes", "no"]}
    channels = [{"config": voice, **channel} for channel in channels]
    program = a_program(channels=channels)
    done = run(a_batch(made[0], program=program))
    ended = done.decisions.filter(pl.col("stage") == "list")
    assert set(ended["reason"]) == {"CHANNEL_INELIGIBLE"}
    assert ended.height == done.scored["score"].count() > 0
    assert ended["threshold"].null_count() == ended.height
    assert stages.closes(done.closing)
    assert list_stages.list_for_email(a_batch(made[0], program=program), done.scored.lazy(), done.listed).is_empty()


def test_records_without_a_key_hide_no_others(made, tmp_path, a_day):
    path = shuffled(made[0], tmp_path, seed=1) / REVIEWS_DATABASE / "deliveries.parquet"
    deliveries = pl.read_parquet(path)
    lost = a_day.raw.filter(pl.col("record_id") == pl.col("delivery_id"))["delivery_id"][:3]
    key = pl.when(~pl.col("delivery_id").is_in(lost.implode())).then("delivery_id")
    deliveries.with_columns(key.alias("delivery_id")).write_parquet(path)
    done = run(a_batch(tmp_path))
    assert done.raw.height == a_day.raw.height
    assert done.reasons()["KEY_MISSING"] == a_day.reasons()["KEY_MISSING"] + 3
    assert stages.closes(done.closing)


def test_an_empty_day_has_no_decisions(made):
    done = run(a_batch(made[0], FIRST_DAY + timedelta(days=400)))
    assert (done.raw.height, done.decisions.height) == (0, 0)
    assert done.decisions.schema == {**DECISIONS.schema, **dict.fromkeys(FLAGS, pl.Boolean())}
    assert stages.closes(done.closing)


def test_ranges_of_customers_change_nothing(made, sends, a_day):
    for name, frame in vars(run(a_batch(made[0], range_rows=3), sends)).items():
        assert frame.equals(getattr(a_day, name)), name


def test_ranges_hold_every_record_once():
    """Those without a customer too, and a customer with more records than a range has."""
    raw = pl.LazyFrame({"customer_id": [None, None, "a", "b", "b", "b", "b", "c"]})
    for rows in range(1, 9):
        parts = [part.of(raw).collect() for part in customer_ranges(raw, "customer_id", rows)]
        assert pl.concat(parts).equals(raw.collect())
        owners = [customer for part in parts for customer in part["customer_id"].unique()]
        assert len(owners) == len(set(owners)), "a customer's records stay together"
    assert len(parts) == 1


def test_counts_that_do_not_close_are_seen(a_day):
    raw, decisions = a_day.raw.lazy(), a_day.decisions
    lost, without = decisions[1:], decisions.with_columns(reason=None)
    twice = pl.concat([decisions[:1], decisions[:1], decisions[2:]])
    for wrong in (lost, without, twice):
        assert not stages.closes(stages.closing_counts(raw, wrong.lazy()))


class Expected:
    """The documented rules from trust to the cap, candidate by candidate."""

    def __init__(self, world: dict[str, pl.DataFrame], sends: list[dict], opt_outs: list[dict], now: datetime):
        self.trust = rules.Trust(world, now)
        self.now = now
        reviews = world["reviews"].iter_rows(named=True)
        self.answered = {(row["customer_id"], row["product_id"]) for row in reviews if self._before(row["reviewed_at"])}
        self.open = set(world["products"].filter("is_reviewable")["product_id"])
        out = [*world["opt_outs"].iter_rows(named=True), *opt_outs]
        self.out = {row["customer_id"] for row in out if self._in_force(row)}
        self.sends = [row for row in sends if row["state"] == "planned" and self._counts(row, sends)]

    def _before(self, at: datetime | None) -> bool:
        return at is None or at <= self.now

    def _in_force(self, row: dict) -> bool:
        is_revoked = row["revoked_at"] is not None and row["revoked_at"] <= self.now
        is_mine = row["program"] in (None, PROGRAM.program_id) and row["channel"] in (None, "email")
        return self._before(row["at"]) and is_mine and not is_revoked

    def _counts(self, planned: dict, log: list[dict]) -> bool:
        known = [row for row in log if row["send_id"] == planned["send_id"] and row["at"] <= self.now]
        states = {row["state"] for row in known}
        return planned["is_solicitation"] and bool(states) and not states & {"failed", "skipped", "held_out"}

    def reason(self, row: dict) -> str | None:
        customer, subject = row["customer_id"], row["subject_id"]
        mine = [send for send in self.sends if send["customer_id"] == customer]
        since = self.now - timedelta(days=30)
        recent = {send["subject_id"] for send in mine if send["slot_at"] > since and send["cap_scope"] == PROGRAM.scope}
        clauses = {
            "ALREADY_ANSWERED": (customer, subject) in self.answered,
            "ALREADY_ASKED": any(s["subject_id"] == subject and s["program"] == PROGRAM.program_id for s in mine),
            "SUBJECT_CLOSED": subject not in self.open,
            "OPTED_OUT": customer in self.out,
            "FREQUENCY_CAP": len(recent) >= 3,
        }
        trust = self.trust.reason({**row, "product_id": subject})
        return trust or next((code for code, refuses in clauses.items() if refuses), None)


def a_history(candidates: pl.DataFrame, now: datetime, rng: random.Random) -> Iterator[dict[str, Any]]:
    """The log of sends to some of the day's customers, with instants around every limit."""
    pairs = candidates.select("customer_id", "subject_id").rows()
    paths = [[], ["claimed"], ["claimed", "handed_over", "sent"], ["claimed", "failed"], ["skipped"], ["held_out"]]
    tick = timedelta(microseconds=1)
    for number in range(3 * len(pairs)):
        customer, subject = rng.choice(pairs[: len(pairs) // 2 + 1])
        at = now + rng.choice([-timedelta(days=40), -timedelta(days=2), -tick, timedelta(), tick])
        program, scope = rng.choice([("product-reviews",) * 2] * 5 + [("music-feedback",) * 2])
        send = {
            "send_id": f"s-{number}",
            "program": program,
            "cap_scope": scope,
            "campaign_id": "",
            "customer_id": customer,
            "subject_id": rng.choice([subject, "p-a", "p-b", "p-c", "p-d", "p-e"]),
            "channel": rng.choice(["email", "voice"]),
            "slot_at": now + rng.choice([-timedelta(days=30), tick - timedelta(days=30), timedelta(days=1)]),
            "is_solicitation": rng.random() < 0.9,
        }
        for place, state in enumerate(["planned", *rng.choice(paths)]):
            yield {**send, "state": state, "at": at + place * rng.choice([tick, timedelta(hours=1)])}


def shuffled(warehouse: Path, target: Path, seed: int) -> Path:
    """The same warehouse with the rows of every table in another order."""
    for name, frame in tables(warehouse).items():
        path = target / (INPUT_TABLES[name].database or REVIEWS_DATABASE) / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.sample(fraction=1, shuffle=True, seed=seed).write_parquet(path)
    return target


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**16), day=st.integers(0, 6))
def test_any_world_is_decided_by_the_documented_rules_and_always_alike(seed, day):
    """The reason of each candidate; the same rows whatever their order, and however many are worked on at a time."""
    partition, rng = FIRST_DAY + timedelta(days=day), random.Random(seed)
    with TemporaryDirectory() as folder:
        warehouse = Path(folder) / "world"
        small_world(warehouse, seed=seed, days=7, history_days=7, customers=450, products=24)
        batch = a_batch(warehouse, partition)
        log = list(a_history(run(batch).verdicts, batch.instant, rng))
        out = [{"customer_id": row["customer_id"], "at": row["at"], "channel": "email"} for row in log[::25]]
        out = [{"program": None, "revoked_at": None, **row} for row in out]
        given_to_us = pl.DataFrame(out, schema=OPT_OUT_LOG.schema)
        done = run(batch, pl.DataFrame(log, schema=SENDS_LOG.schema), given_to_us)

        ask = Expected(tables(warehouse), log, out, batch.instant)
        expected = {row["record_id"]: ask.reason(row) for row in done.verdicts.iter_rows(named=True)}
        assert dict(done.verdicts.select("record_id", "reason").iter_rows()) == expected
        assert stages.closes(done.closing)
        listed = done.decisions.filter(pl.col("reason") == "LISTED")
        quota = dict(done.verdicts.select("customer_id", "quota_left").iter_rows())
        assert all(count <= quota[customer] for customer, count in Counter(listed["customer_id"]).items())
        assert listed.height <= 9

        rng.shuffle(log)
        elsewhere = a_batch(shuffled(warehouse, Path(folder) / "shuffled", seed), partition, range_rows=12)
        again = run(elsewhere, pl.DataFrame(log, schema=SENDS_LOG.schema), given_to_us.reverse())
        for name, frame in vars(done).items():
            assert frame.equals(getattr(again, name)), name
