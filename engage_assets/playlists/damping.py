"""Which answers do not count, whoever gave them: those of newcomers, of floods and of surges. On any engine.

An answer that does not count is as if it had not been given: an earlier answer of the same listener stands. So a
brigade that these rules catch changes no score and no place. Each rule looks only at what was known when the
answer's day was over, and so gives the same verdict ever after (docs/playlists.md).
"""

import narwhals as nw

from engage_assets.domain.facts import Frame
from engage_assets.domain.playlist_spec import Playlists
from engage_assets.playlists.answers import LONG_AGO

_TRACK_DAY = ["marketplace", "track_id", "day"]


def first_seen(answers: Frame, *others: Frame) -> Frame:
    """`customer_id` and `seen_at`: the listener's earliest answer or row of `others` (customer_id, at)."""
    seen = [frame.select("customer_id", "at") for frame in (answers, *others)]
    return nw.concat(seen, how="vertical").group_by("customer_id").agg(nw.col("at").min().alias("seen_at"))


def is_newcomers(rules: Playlists) -> nw.Expr:
    """Whether an answer with `seen_at` was given before its account had been known for long enough.

    Not told of an answer whose own instant is not known.
    """
    if not rules.newcomer_days:
        return nw.col("at").is_null()  # never: every answer has an instant
    known_for_long = nw.col("at") >= nw.col("seen_at").dt.offset_by(f"{rules.newcomer_days}d")
    return (nw.col("at") > LONG_AGO) & ~known_for_long.fill_null(False)


def busy_days(answers: Frame, rules: Playlists) -> Frame:
    """`customer_id` and `day` of listeners who answered about more tracks in a day than one person listens to."""
    # Nearly nobody gave so many answers in all: only those few are looked at day by day.
    many = answers.group_by("customer_id").agg(nw.len().alias("_n"))
    many = many.filter(nw.col("_n") > rules.most_answers_per_day).select("customer_id")
    tracks = answers.join(many, on="customer_id", how="semi").select("customer_id", "day", "track_id").unique()
    counts = tracks.group_by("customer_id", "day").agg(nw.len().alias("_n"))
    return counts.filter(nw.col("_n") > rules.most_answers_per_day).select("customer_id", "day")


def surges(judged: Frame, rules: Playlists) -> Frame:
    """`marketplace`, `track_id` and `day` of surges among answers that count so far.

    More than `surgeAnswers` answers, and more than `surgeFactor` times the mean of the `usualDays` before. Newcomers
    and floods make no surge: else they could void what others say.
    """
    counting = judged.filter(nw.col("void").is_null()).select(*_TRACK_DAY)
    # Few tracks got so many answers in all: only those are looked at day by day.
    many = counting.group_by("marketplace", "track_id").agg(nw.len().alias("_n"))
    many = many.filter(nw.col("_n") > rules.surge_answers).select("marketplace", "track_id")
    counting = counting.join(many, on=["marketplace", "track_id"], how="semi")
    daily = counting.group_by(*_TRACK_DAY).agg(nw.len().alias("_n"))
    large = daily.filter(nw.col("_n") > rules.surge_answers)
    since = nw.col("day").dt.offset_by(f"-{rules.usual_days}d")
    before = daily.select("marketplace", "track_id", nw.col("day").alias("_day"), nw.col("_n").alias("_usual"))
    paired = large.select(*_TRACK_DAY).join(before, on=["marketplace", "track_id"], how="inner")
    usual = paired.filter(nw.col("_day") < nw.col("day"), nw.col("_day") >= since)
    usual = usual.group_by(*_TRACK_DAY).agg(nw.col("_usual").sum())
    compared = large.join(usual, on=_TRACK_DAY, how="left").with_columns(nw.col("_usual").fill_null(0))
    is_far_above = nw.col("_n") * rules.usual_days > nw.col("_usual") * rules.surge_factor
    return compared.filter(is_far_above).select(*_TRACK_DAY)


def judge_answers(answers: Frame, busy: Frame, seen: Frame, rules: Playlists) -> Frame:
    """The answers with `void`: NEWCOMER, FLOOD, or null where neither holds.

    `busy` is busy_days, `seen` first_seen of the listeners.
    """
    marked = answers.join(seen, on="customer_id", how="left")
    marked = marked.join(busy.with_columns(nw.lit(True).alias("is_busy")), on=["customer_id", "day"], how="left")
    flood = nw.when(nw.col("is_busy").fill_null(False)).then(nw.lit("FLOOD")).otherwise(nw.lit(None).cast(nw.String))
    void = nw.when(is_newcomers(rules)).then(nw.lit("NEWCOMER")).otherwise(flood)
    return marked.with_columns(void.alias("void")).drop("seen_at", "is_busy")


def without_surges(judged: Frame, surging: Frame, plays: Frame) -> Frame:
    """`judged` with SURGE for answers of `surging` track days whose listener is not known to have heard the track.

    `judged` hold all answers about their tracks, with `marketplace`; `plays` are customer_id, track_id and at. Where
    a deployment has no plays, no surge is told from a success, and none is void.
    """
    heard = plays.join(surging.select("track_id").unique(), on="track_id", how="semi")
    heard = heard.group_by("customer_id", "track_id").agg(nw.col("at").min().alias("heard_at"))
    marked = judged.join(surging.with_columns(nw.lit(True).alias("is_surge")), on=_TRACK_DAY, how="left")
    marked = marked.join(heard, on=["customer_id", "track_id"], how="left")
    unheard = ~(nw.col("heard_at") <= nw.col("at")).fill_null(False)
    is_void = nw.col("void").is_null() & nw.col("is_surge").fill_null(False) & unheard
    void = nw.when(is_void).then(nw.lit("SURGE")).otherwise(nw.col("void"))
    return marked.with_columns(void.alias("void")).drop("is_surge", "heard_at")
