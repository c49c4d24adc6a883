"""Judge the batches that were run on Meetup's data: who of those that were scored said yes afterwards?

    .venv/bin/python docs/meetup/judge_meetup.py ENGAGE_HOME

Reads the partitions of `scored_candidates` and `decisions` in the home's lake and the registrations in its warehouse,
and prints aggregates as JSON, no rows. An event counts if it began before the data's last answer.

- A row is a candidate that the filters let pass. Its label: whether the person said yes after the batch instant. Who
  had said so before is no candidate (ALREADY_ANSWERED).
- AUC: the share of pairs of rows, one with a yes and one without, that are ranked rightly; also within each event, as
  mean over events. An interval holds 95 % of the AUCs of resampled people.
- recall@20: of an event's yeses among its candidates the share among the first 20. precision@k: k = min(20, its
  yeses), the share of the first k who said yes. Both are means over events that a candidate said yes to. Ties go to the
  customer whose key is first.
- "most active" ranks by how often a person had said yes by the batch instant: ever, in 90 days, in 90 days to the same
  group.
"""

import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from map_meetup import BATCH_TIME
from threadpoolctl import threadpool_limits

from engage_assets.domain.errors import WarehouseError
from engage_assets.domain.events import EVENTS, PAST_REGISTRATIONS
from engage_assets.scoring.bootstrap import resampled
from engage_assets.scoring.pipelines import measure

PROGRAM = "meetup_invitations"
MODELS = {
    "documented": "meetup_documented_probability",
    "with the group's history": "meetup_loyalty_probability",
}
SCORE = "both, the list's score"
ACTIVE = "most active"
RIVALS = (ACTIVE, f"{ACTIVE} in the group, 90 days")
FIRST, LATELY = 20, timedelta(days=90)
SEED, RESAMPLES = 20_160_603, 200
_PAIR = ["customer_id", "subject_id"]
Floats = npt.NDArray[np.float64]


def main(home: Path) -> dict[str, Any]:
    """Judge every partition of the home, and say what came out, as JSON takes it."""
    events, registrations = (_table(home, table.name) for table in (EVENTS, PAST_REGISTRATIONS))
    over = events.filter(pl.col("starts_at") <= registrations["registered_at"].max()).select(
        subject_id="event_id", group="name", answered="known_at"
    )
    decided = _partitions(home, "decisions", "partition_date", *_PAIR, "reason").join(over, on="subject_id")
    rows = candidates(home, over, registrations)
    announced = rows.filter(pl.col("answered") < pl.col("as_of"))
    return {
        "partitions": decided["partition_date"].n_unique(),
        "records": decided.height,
        "events": over.join(decided, on="subject_id", how="semi").height,
        "yeses": yeses(rows, decided, registrations, over),
        "rankings": {name: judgement(rows, values) for name, values in rankings(rows).items()},
        "intervals": intervals(rows),
        "calibration": {name: calibration(rows, column) for name, column in MODELS.items()},
        "events that were answered before their batch": {
            name: judgement(announced, values) for name, values in rankings(announced).items()
        },
    }


def _table(home: Path, name: str) -> pl.DataFrame:
    return pl.read_parquet(home / "warehouse" / "events" / f"{name}.parquet")


def _partitions(home: Path, asset: str, *columns: str) -> pl.DataFrame:
    """Columns of all partitions of an asset. Raises WarehouseError where there is none."""
    folder = home / "lake" / PROGRAM / asset
    if not folder.is_dir():
        raise WarehouseError(f"{folder} is not there; run `engage backfill meetup-invitations` first")
    return pl.read_parquet(sorted(folder.glob("*.parquet")), columns=list(columns))


def candidates(home: Path, over: pl.DataFrame, registrations: pl.DataFrame) -> pl.DataFrame:
    """Scored candidates of events that are over, with their label and what the rankings take."""
    columns = ("created_at", "interest_affinity", "score", *MODELS.values())
    scored = _partitions(home, "scored_candidates", *_PAIR, *columns)
    yes = registrations.select("customer_id", subject_id="event_id", label=pl.lit(value=True))
    rows = scored.join(over, on="subject_id").join(yes, on=_PAIR, how="left")
    labelled = rows.rename({"created_at": "as_of"}).with_columns(pl.col("label").fill_null(value=False))
    return _active(labelled, registrations, over).sort("subject_id", "customer_id")


def _active(rows: pl.DataFrame, registrations: pl.DataFrame, over: pl.DataFrame) -> pl.DataFrame:
    """`rows` with `ever`, `lately` and `to_group`: how often the person had said yes by then."""
    given = registrations.join(over, left_on="event_id", right_on="subject_id").select(
        "customer_id", at="registered_at", to="group"
    )
    asked = rows.select("customer_id", "as_of", "group").unique()
    seen = asked.join(given, on="customer_id").filter(pl.col("at") <= pl.col("as_of"))
    is_late = pl.col("at") > pl.col("as_of") - LATELY
    counts = seen.group_by("customer_id", "as_of", "group").agg(
        ever=pl.len(), lately=is_late.sum(), to_group=(is_late & (pl.col("to") == pl.col("group"))).sum()
    )
    joined = rows.join(counts, on=["customer_id", "as_of", "group"], how="left")
    return joined.with_columns(pl.col("ever", "lately", "to_group").fill_null(0))


def rankings(rows: pl.DataFrame) -> dict[str, pl.Series]:
    """By name what candidates are ranked by."""
    own = {name: rows[column] for name, column in MODELS.items()}
    rivals = {ACTIVE: "ever", f"{ACTIVE}, 90 days": "lately", f"{ACTIVE} in the group, 90 days": "to_group"}
    return {
        **own,
        SCORE: rows["score"],
        **{name: rows[column] for name, column in rivals.items()},
        "interest match": rows["interest_affinity"],
    }


def judgement(rows: pl.DataFrame, values: pl.Series) -> dict[str, float]:
    """AUC over all rows; AUC, recall@20 and precision@min(20, yeses) as means over events."""
    ranked = rows.select("subject_id", "customer_id", "label", value=values.cast(pl.Float64)).with_columns(
        rank=pl.col("value").rank().over("subject_id")
    )
    placed = ranked.sort("subject_id", "value", "customer_id", descending=[False, True, False]).with_columns(
        place=pl.int_range(pl.len()).over("subject_id"), yes=pl.col("label").sum().over("subject_id")
    )
    k = pl.col("yes").clip(0, FIRST)
    auc = (pl.col("rank").filter("label").sum() - _sum_to(pl.col("yes").first())) / (
        pl.col("yes").first() * (pl.len() - pl.col("yes").first())
    )
    by_event = (
        placed.filter(pl.col("yes") > 0)
        .group_by("subject_id")
        .agg(
            auc=auc,
            recall=(pl.col("label") & (pl.col("place") < FIRST)).sum() / pl.col("yes").first(),
            precision=(pl.col("label") & (pl.col("place") < k)).sum() / k.first(),
        )
    )
    means = by_event.select(pl.col("auc").fill_nan(None).mean(), pl.col("recall", "precision").mean()).row(
        0, named=True
    )
    everywhere = _auc(rows["label"], values)
    named = {"auc": everywhere, "auc in events": means["auc"], f"recall@{FIRST}": means["recall"]}
    return {name: round(value, 4) for name, value in (named | {"precision@k": means["precision"]}).items()}


def _sum_to(count: pl.Expr) -> pl.Expr:
    """1 + 2 + … + count."""
    return count * (count + 1) / 2


def _auc(labels: pl.Series, values: pl.Series) -> float:
    ranks = values.cast(pl.Float64).rank()
    yes, no = int(labels.sum()), int((~labels).sum())
    return float((ranks.filter(labels).sum() - yes * (yes + 1) / 2) / (yes * no))


def intervals(rows: pl.DataFrame) -> dict[str, list[float]]:
    """Between which values 95 % of the AUCs of resampled people lie, and of the gains over RIVALS."""
    given = {name: values.cast(pl.Float64).to_numpy() for name, values in rankings(rows).items()}
    wanted = {name: given[name] for name in (*MODELS, SCORE, *RIVALS)}
    labels, people = rows["label"].to_numpy(), rows["customer_id"]
    with threadpool_limits(1):
        drawn = resampled("roc_auc", labels, people, wanted, seed=SEED, resamples=RESAMPLES)
    pairs = [(name, rival) for rival in RIVALS for name in (*MODELS, SCORE)]
    gains = {f"{name} less {rival}": drawn[name] - drawn[rival] for name, rival in pairs}
    return {name: _between(values) for name, values in (drawn | gains).items()}


def _between(values: Floats) -> list[float]:
    return [round(float(bound), 4) for bound in np.percentile(values, [2.5, 97.5])]


def calibration(rows: pl.DataFrame, column: str) -> dict[str, Any]:
    """Calibration error, log loss and Brier score; by tenth of the probabilities what was foretold and what came."""
    found = measure(rows["label"].to_numpy(), rows[column].to_numpy())
    tenth = (pl.col(column).rank("ordinal") * 10 / (pl.len() + 1)).floor().cast(pl.Int64)
    tenths = rows.group_by(tenth.alias("tenth")).agg(
        pl.col(column).mean().alias("foretold"), came=pl.col("label").mean()
    )
    told = [
        [round(float(one), 4) for one in row] for row in tenths.sort("tenth").select("foretold", "came").iter_rows()
    ]
    names = ("base_rate", "calibration_error", "log_loss", "brier")
    return {**{name: round(found[name], 4) for name in names}, "rows": rows.height, "foretold and came, by tenth": told}


def yeses(rows: pl.DataFrame, decided: pl.DataFrame, registrations: pl.DataFrame, over: pl.DataFrame) -> dict[str, int]:
    """How many said yes to the events of these batches, before them and after, and what became of the later ones."""
    judged = decided.select("subject_id").unique().join(over, on="subject_id")
    instant = pl.col("partition_date").cast(pl.Datetime("us")) + BATCH_TIME
    instants = decided.select("subject_id", as_of=instant).unique()
    given = registrations.select("customer_id", "registered_at", subject_id="event_id").join(judged, on="subject_id")
    verdicts = given.join(instants, on="subject_id", how="left").join(
        decided.select(*_PAIR, "reason").unique(_PAIR, keep="any"), on=_PAIR, how="left"
    )
    later = verdicts.filter(pl.col("registered_at") > pl.col("as_of"))
    scored = later.join(rows, on=_PAIR, how="semi").height
    reasons = later.join(rows, on=_PAIR, how="anti").group_by(pl.col("reason").fill_null("no topic in common")).len()
    return {
        "all": verdicts.height,
        "before their batch": verdicts.filter(pl.col("registered_at") <= pl.col("as_of")).height,
        "after it": later.height,
        "of these scored": scored,
        **{f"of these {reason}": count for reason, count in sorted(reasons.iter_rows())},
        "of these LISTED": later.filter(pl.col("reason") == "LISTED").height,
    }


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: judge_meetup.py ENGAGE_HOME")
    try:
        print(json.dumps(main(Path(sys.argv[1])), indent=1))
    except WarehouseError as error:
        sys.exit(f"judge_meetup.py: {error}")
