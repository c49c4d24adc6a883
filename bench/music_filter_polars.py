"""The filter stage of the music program as one hand-written Polars script: what our pipeline is measured against.

    .venv/bin/python bench/music_filter_polars.py WAREHOUSE SENDS PARTITION OUT.parquet RAW.parquet

WAREHOUSE holds crm/ and streaming/, SENDS one Parquet file of send events a day, RAW the day's records with their ids
(bench/filter_ours.py music), as both sides read them. Every record gets its reason (null: accepted), one flag per
filter and the listener's quota, by the rules and the order of `engage_assets.domain.reasons`. Everything is fixed
here: the program, its marketplaces, thresholds and cap; all tables and columns of bench/generate_music.py are there,
and no listener has two trust rows of one instant.
"""

import json
import resource
import sys
import time
from datetime import date, datetime, timedelta
from pathlib import Path

BEGAN = time.perf_counter()
import polars as pl  # noqa: E402  the import is part of what is measured

PROGRAM, CAP, WEEK = "music-feedback", 2, timedelta(days=7)
MARKETPLACES = ["US", "UK", "DE", "FR", "JP", "IN"]
FIRST_DAY = datetime.combine(date(2000, 1, 1), datetime.min.time())
PAIR = ["listener_id", "track_id"]
MOST_PLAYS, REGULAR, DEVIATION, MOST_DEVICES = 500, 20, 1.0, 2


def scan(warehouse: Path, table: str) -> pl.LazyFrame:
    place = warehouse / table
    return pl.scan_parquet(place / "*.parquet" if place.is_dir() else place.with_suffix(".parquet"))


def before(column: str, instant: datetime) -> pl.Expr:
    """Null counts as before."""
    return (pl.col(column) <= instant).fill_null(True)


def read_records(warehouse: Path, raw: Path, instant: datetime) -> pl.DataFrame:
    """The partition's records with the contract's reason and the listener's own facts."""
    records = pl.scan_parquet(raw).select(
        "record_id", *PAIR, "played_at", "play_count", "completion_rate", "track_release_date", "engagement_score"
    )
    customers = scan(warehouse, "crm/customers").select(
        pl.col("customer_id").alias("listener_id"),
        pl.col("marketplace").is_in(MARKETPLACES).fill_null(False).alias("in_marketplace"),
        "is_test",
    )
    blank = [pl.col(key).is_null() | (pl.col(key).str.strip_chars() == "") for key in PAIR]
    at = pl.col("played_at")
    shares = [(pl.col(name) < 0) | (pl.col(name) > 1) for name in ("completion_rate", "engagement_score")]
    return (
        records.join(customers, on="listener_id", how="left")
        .with_columns(
            reason=pl.when(pl.any_horizontal(blank))
            .then(pl.lit("KEY_MISSING"))
            .when(at.is_null() | (at > instant) | (at < FIRST_DAY) | (pl.col("track_release_date") > instant.date()))
            .then(pl.lit("DATE_INVALID"))
            .when((pl.col("play_count") < 1).fill_null(True) | pl.any_horizontal(shares).fill_null(False))
            .then(pl.lit("VALUE_INVALID"))
            .when(pl.col("in_marketplace").is_null())
            .then(pl.lit("UNKNOWN_CUSTOMER"))
            .when(~pl.col("in_marketplace"))
            .then(pl.lit("UNKNOWN_MARKETPLACE"))
        )
        .select("record_id", *PAIR, "played_at", "engagement_score", "is_test", "reason")
        .collect()
    )


def mark_duplicates(records: pl.DataFrame) -> pl.DataFrame:
    """Of a listener's records of one track the latest counts, then the greatest id."""
    valid = records.lazy().filter(pl.col("reason").is_null())
    repeated = valid.group_by(PAIR).len().filter(pl.col("len") > 1)
    duplicates = (
        valid.join(repeated, on=PAIR, how="semi")
        .sort("played_at", "record_id", descending=True)
        .filter(~pl.struct(PAIR).is_first_distinct())
        .select("record_id", duplicate=pl.lit(True))
        .collect()
    )
    return records.join(duplicates, on="record_id", how="left").with_columns(
        reason=pl.when(pl.col("duplicate")).then(pl.lit("DUPLICATE")).otherwise("reason")
    )


def bots(warehouse: Path, instant: datetime, listeners: pl.Series) -> pl.LazyFrame:
    """Who plays like a machine in the week up to the instant: `listener_id`."""
    mine = pl.col("listener_id").is_in(listeners.implode())
    week = (pl.col("played_at") > instant - WEEK) & (pl.col("played_at") <= instant)
    day = pl.col("played_at").dt.date().alias("day")
    many = (
        scan(warehouse, "streaming/track_plays")
        .filter(week, before("arrived_at", instant), pl.col("play_count") > 0)
        .group_by("listener_id", day)
        .agg(pl.col("play_count").sum())
        .filter(pl.col("play_count") > MOST_PLAYS)
        .select("listener_id")
    )
    plays = (
        scan(warehouse, "streaming/plays")
        .filter(pl.col("started_at") > instant - WEEK, pl.col("ended_at") <= instant, mine)
        .collect()
        .lazy()
    )
    often = plays.group_by(PAIR).len().filter(pl.col("len") >= REGULAR)
    regular = (
        plays.join(often, on=PAIR, how="semi")
        .unique()
        .sort("started_at")
        .group_by(PAIR)
        .agg(gap=(pl.col("started_at").diff().dt.total_milliseconds() / 1000).std(ddof=0), count=pl.len())
        .filter(pl.col("gap") < DEVIATION, pl.col("count") >= REGULAR)
        .select("listener_id")
    )
    several = (
        plays.group_by("listener_id").agg(pl.col("device_id").n_unique()).filter(pl.col("device_id") > MOST_DEVICES)
    )
    few = plays.join(several, on="listener_id", how="semi")
    together = (
        few.join(few, on="listener_id", suffix="_other")
        .filter(pl.col("started_at_other") <= pl.col("started_at"), pl.col("started_at") < pl.col("ended_at_other"))
        .group_by("listener_id", "started_at")
        .agg(pl.col("device_id_other").n_unique())
        .filter(pl.col("device_id_other") > MOST_DEVICES)
        .select("listener_id")
    )
    return pl.concat([many, regular, together]).unique()


def counted_sends(sends: Path, partition: date, instant: datetime, listeners: pl.Series) -> pl.LazyFrame:
    """Listener, track and slot of this program's sends that count at the instant."""
    files = sorted(file for file in sends.glob("*.parquet") if file.stem <= partition.isoformat())
    events = (
        pl.scan_parquet(files)
        .filter(pl.col("program") == PROGRAM, pl.col("at") <= instant, pl.col("is_solicitation"))
        .filter(pl.col("customer_id").is_in(listeners.implode()))
        .select("send_id", "customer_id", "subject_id", "slot_at", "state")
        .collect()
        .lazy()
    )
    ended = events.filter(pl.col("state").is_in(["failed", "skipped", "held_out"]))
    return (
        events.filter(pl.col("state") == "planned")
        .join(ended, on="send_id", how="anti")
        .select("slot_at", listener_id="customer_id", track_id="subject_id")
    )


def judge(warehouse: Path, sends: Path, partition: date, instant: datetime, candidates: pl.LazyFrame) -> pl.LazyFrame:
    """Flags and reason of every candidate."""
    listeners = candidates.select("listener_id").unique().collect().to_series()
    trust = (
        scan(warehouse, "crm/customer_trust")
        .filter(pl.col("known_at") <= instant)
        .filter(pl.col("customer_id").is_in(listeners.implode()))
        .group_by(listener_id="customer_id")
        .agg(pl.all().sort_by("known_at").last())
        .drop("customer_id")
    )
    opted_out = (
        scan(warehouse, "crm/opt_outs")
        .filter(
            before("at", instant),
            pl.col("program").eq_missing(PROGRAM) | pl.col("program").is_null(),
            pl.col("channel").is_null(),  # of e-mail and of voice: nobody has a row for each
            ~(pl.col("revoked_at") <= instant).fill_null(False),
        )
        .select(listener_id="customer_id")
        .unique()
    )
    answered = (
        scan(warehouse, "streaming/feedback")
        .filter(before("given_at", instant))
        .select(PAIR)
        .join(candidates.select(PAIR), on=PAIR, how="semi")
        .unique()
    )
    counted = counted_sends(sends, partition, instant, listeners)
    asked = counted.select(PAIR).join(candidates.select(PAIR), on=PAIR, how="semi").unique()
    used = (
        counted.filter(pl.col("slot_at") > instant - WEEK)
        .group_by("listener_id")
        .agg(used=pl.col("track_id").n_unique())
    )
    tracks = scan(warehouse, "streaming/tracks").select("track_id", "is_open_for_feedback")
    true = pl.lit(True)
    trust_score, fraud_score = pl.col("trust_score").fill_nan(None), pl.col("fraud_score").fill_nan(None)
    clauses = {
        "trust": {
            "TEST_ACCOUNT": pl.col("is_test").fill_null(False),
            "BOT_ACTIVITY": pl.col("bot").is_not_null(),
            "ACCOUNT_STATUS": (pl.col("account_status") != "active").fill_null(True),
            "TRUST_SCORE_LOW": (trust_score < 0.5).fill_null(True),
            "FRAUD_SCORE_HIGH": (fraud_score > 0.5).fill_null(True),
        },
        "eligibility": {
            "ALREADY_ANSWERED": pl.col("answered").is_not_null(),
            "ALREADY_ASKED": pl.col("asked").is_not_null(),
            "SUBJECT_CLOSED": ~pl.col("is_open_for_feedback").fill_null(False),
            "OPTED_OUT": pl.col("opted_out").is_not_null(),
        },
        "engagement": {"ENGAGEMENT_LOW": (pl.col("engagement_score") < 0.6).fill_null(True)},
        "frequency_cap": {"FREQUENCY_CAP": pl.col("quota_left") == 0},
    }
    return (
        candidates.join(trust, on="listener_id", how="left")
        .join(bots(warehouse, instant, listeners).with_columns(bot=true), on="listener_id", how="left")
        .join(opted_out.with_columns(opted_out=true), on="listener_id", how="left")
        .join(answered.with_columns(answered=true), on=PAIR, how="left")
        .join(asked.with_columns(asked=true), on=PAIR, how="left")
        .join(tracks, on="track_id", how="left")
        .join(used, on="listener_id", how="left")
        .with_columns(quota_left=(CAP - pl.col("used").fill_null(0).cast(pl.Int64)).clip(lower_bound=0))
        .select(
            "record_id",
            *(pl.any_horizontal(tests.values()).alias(f"refused_by_{name}") for name, tests in clauses.items()),
            pl.coalesce(
                pl.when(test).then(pl.lit(code)) for tests in clauses.values() for code, test in tests.items()
            ).alias("reason"),
            "quota_left",
        )
    )


def main(warehouse: Path, sends: Path, partition: date, out: Path, raw: Path) -> dict[str, int]:
    instant = datetime.combine(partition + timedelta(days=1), datetime.min.time()) + timedelta(hours=2)
    records = mark_duplicates(read_records(warehouse, raw, instant))
    candidates = records.filter(pl.col("reason").is_null()).drop("reason", "duplicate")
    judged = judge(warehouse, sends, partition, instant, candidates.lazy()).collect()
    refused = records.drop_nulls("reason").select("record_id", "reason")
    decided = pl.concat([judged, refused], how="diagonal").sort("record_id")
    decided.write_parquet(out)
    return dict(decided["reason"].fill_null("ACCEPTED").value_counts().sort("reason").iter_rows())


if __name__ == "__main__":
    places = [Path(one) for one in sys.argv[4:6]]
    counts = main(Path(sys.argv[1]), Path(sys.argv[2]), date.fromisoformat(sys.argv[3]), *places)
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    figures = {
        "cpu_seconds": round(sum(one.ru_utime + one.ru_stime for one in used), 3),
        "wall_seconds": round(time.perf_counter() - BEGAN, 3),
        "max_rss_mib": max(one.ru_maxrss for one in used) // 1024,
        "records": sum(counts.values()),
        "reasons": counts,
    }
    print(json.dumps(figures))
