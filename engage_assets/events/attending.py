"""What is known of people when they register, and by which some come and others do not."""

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from engage_assets.events.attendance import NO_SHOW_AFTER

DESCRIPTIONS: Final = {
    "lead_days": "Days from the registration to the start, at most 60.",
    "waited": "Whether the person stood in line before.",
    "came_before": "Share of the events before to which the person came who had a seat: (came + 1) ÷ (known + 2).",
    "known_before": "ln(1 + n): n events before of which it is known whether the person came.",
    "engagement_score": "How engaged the customer is, as the profile says.",
    "part_of_day": "When it starts where the person lives: morning, afternoon, evening or night.",
    "is_weekend": "Whether that is a Saturday or Sunday.",
    "duration_minutes": "How long the event takes.",
    "channel": "Through which the seat was asked for; direct, or elsewhere: through another system.",
}
"""Features of a registration, by name, in words. `engagement_score` is as features of programs have it."""
FEATURES: Final = tuple(DESCRIPTIONS)
ELSEWHERE: Final = "elsewhere"
"""Channel of registrations that another system took."""
DIRECT: Final = "direct"
"""Channel of who registered here through no message of ours."""
LONGEST_LEAD: Final = 60.0
SEATED: Final = ("registered", "attended", "no_show")
_KEYS: Final = ["customer_id", "event_id"]
_DAY: Final = timedelta(days=1)
_LONG_AGO: Final = datetime(1, 1, 1)  # noqa: DTZ001 - UTC without a zone attached
_NOON, _EVENING, _MORNING = 12, 17, 6
_SATURDAY: Final = 5


def standing(log: pl.LazyFrame, until: datetime) -> pl.LazyFrame:
    """Who has a seat at `until`: customer_id, event_id, registered_at, channel, waited, marketplace, status.

    `log`: REGISTRATIONS_LOG. `registered_at` is when the seat was got the last time, `waited` whether in line before.
    """
    known = log.filter(pl.col("at") <= until).sort("sequence")
    got = pl.col("at").filter(pl.col("status") == "registered").last()
    each = known.group_by(_KEYS).agg(
        registered_at=pl.coalesce(got, pl.col("at").first()),
        channel=pl.col("channel").last().fill_null(DIRECT),
        waited=(pl.col("status") == "wait_listed").any(),
        marketplace=pl.col("marketplace").last(),
        status=pl.col("status").last(),
    )
    return each.filter(pl.col("status").is_in(SEATED))


def settled(log: pl.LazyFrame, elsewhere: pl.LazyFrame | None, events: pl.DataFrame, until: datetime) -> pl.LazyFrame:
    """Registrations of which it is known at `until` whether the person came: the columns of `standing`, and `came`.

    `elsewhere`: PAST_REGISTRATIONS; a registration that is in both is the log's. `events`: event_id, starts_at,
    ends_at. An event counts from NO_SHOW_AFTER after its end on.
    """
    over = events.lazy().filter(pl.col("ends_at") + NO_SHOW_AFTER <= until).select("event_id", "starts_at", "ends_at")
    ours = standing(log, until).filter(pl.col("status").is_in(["attended", "no_show"]))
    columns = [*_KEYS, "registered_at", "channel", "waited"]
    parts = [ours.select(*columns, came=pl.col("status") == "attended")]
    if elsewhere is not None and "attended" in elsewhere.collect_schema().names():
        given = elsewhere.filter(pl.col("attended").is_not_null(), pl.col("registered_at").is_not_null())
        named = given.group_by(_KEYS).agg(pl.col("registered_at").min(), came=pl.col("attended").any())
        once = named.select(*_KEYS, "registered_at", channel=pl.lit(ELSEWHERE), waited=pl.lit(value=False), came="came")
        parts.append(once.join(ours.select(_KEYS), on=_KEYS, how="anti"))
    return pl.concat(parts).join(over, on="event_id").filter(pl.col("registered_at") <= pl.col("starts_at"))


def with_features(
    rows: pl.DataFrame, history: pl.LazyFrame, versions: pl.DataFrame, zones: pl.DataFrame
) -> pl.DataFrame:
    """Registrations with FEATURES but for `engagement_score`, by event, customer and time.

    `rows`: as `standing`; those of events without a version are left out. `history`: as `settled`; of a customer counts
    what was known before he registered. `versions`: event_id, known_at, starts_at, time_zone, duration_minutes; the
    one that was known when the person registered counts, else the first. `zones`: customer_id, time_zone (IANA), one
    row each; of others the event's.
    """
    placed = _as_known(rows, versions).join(zones.rename({"time_zone": "_zone"}), on="customer_id", how="left")
    placed = placed.with_columns(time_zone=pl.coalesce("_zone", "time_zone"))
    local = _local(placed.select("starts_at", "time_zone").unique())
    known = _before(placed.select(*_KEYS, "registered_at"), history)
    joined = placed.join(local, on=["starts_at", "time_zone"], how="left").join(known, on=[*_KEYS, "registered_at"])
    said = pl.col("came_n") + pl.col("missed_n")
    return joined.with_columns(
        lead_days=((pl.col("starts_at") - pl.col("registered_at")) / _DAY).clip(0, LONGEST_LEAD).cast(pl.Float64),
        waited=pl.col("waited").cast(pl.Float64),
        came_before=((pl.col("came_n") + 1) / (said + 2)).round(6),
        known_before=said.cast(pl.Float64).log1p().round(6),
        duration_minutes=pl.col("duration_minutes").cast(pl.Float64),
    ).sort("event_id", "customer_id", "registered_at")


def _as_known(rows: pl.DataFrame, versions: pl.DataFrame) -> pl.DataFrame:
    """Rows with the event as it was known then."""
    stated = ["starts_at", "time_zone", "duration_minutes"]
    ordered = versions.sort("known_at", maintain_order=True).unique(
        ["event_id", "known_at"], keep="last", maintain_order=True
    )
    earliest = ordered.unique("event_id", keep="first", maintain_order=True).with_columns(
        known_at=pl.lit(_LONG_AGO, pl.Datetime("us"))
    )
    known = pl.concat([earliest, ordered]).sort("known_at", maintain_order=True)
    found = rows.sort("registered_at").join_asof(
        known, left_on="registered_at", right_on="known_at", by="event_id", check_sortedness=False
    )
    return found.drop("known_at").filter(pl.all_horizontal(pl.col(stated).is_not_null()))


def _before(rows: pl.DataFrame, history: pl.LazyFrame) -> pl.DataFrame:
    """By row how often the customer had come (came_n) and had not (missed_n) before."""
    theirs = history.join(rows.lazy().select("customer_id").unique(), on="customer_id", how="semi")
    counted = (
        theirs.collect(engine="streaming")
        .select("customer_id", "came", settled_at=pl.col("ends_at") + NO_SHOW_AFTER)
        .sort("settled_at", "came")
        .with_columns(
            came_n=pl.col("came").cast(pl.Int64).cum_sum().over("customer_id"),
            missed_n=(~pl.col("came")).cast(pl.Int64).cum_sum().over("customer_id"),
        )
        .unique(["customer_id", "settled_at"], keep="last", maintain_order=True)
        .select("customer_id", "settled_at", "came_n", "missed_n")
    )
    asked = rows.sort("registered_at")
    found = asked.join_asof(
        counted, left_on="registered_at", right_on="settled_at", by="customer_id", check_sortedness=False
    )
    return found.select(*_KEYS, "registered_at", pl.col("came_n", "missed_n").fill_null(0)).unique()


def _local(pairs: pl.DataFrame) -> pl.DataFrame:
    """By start and zone what it is there: part_of_day, is_weekend (0 or 1)."""
    rows = []
    for starts_at, zone in pairs.iter_rows():
        there = starts_at.replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
        rows.append((starts_at, zone, _part(there.hour), float(there.weekday() >= _SATURDAY)))
    schema = {
        "starts_at": pl.Datetime("us"),
        "time_zone": pl.String(),
        "part_of_day": pl.String(),
        "is_weekend": pl.Float64(),
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def _part(hour: int) -> str:
    if _MORNING <= hour < _NOON:
        return "morning"
    if _NOON <= hour < _EVENING:
        return "afternoon"
    return "evening" if hour >= _EVENING else "night"
