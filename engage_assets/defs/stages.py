"""The stages of a batch, joined from the rooms below. Knows nothing of Dagster, so that it can be called directly.

Everything that crosses rows is keyed by customer: a large partition is worked through in ranges of
customers, one after the other, and memory stays bounded. Every stage returns frames sorted by customer,
subject and record, so the same inputs give the same rows in the same order.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import narwhals as nw
import polars as pl

from engage_assets.candidates.contract import check_contract
from engage_assets.candidates.duplicates import refuse_duplicates
from engage_assets.channels import email, lists
from engage_assets.connectors.warehouse import Warehouse
from engage_assets.decisions import decide
from engage_assets.domain.channel_specs import EmailChannel
from engage_assets.domain.errors import ModelError
from engage_assets.domain.facts import Frame
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.ports import Scorer, StoreCounts
from engage_assets.domain.program import Program, ScoringModel
from engage_assets.domain.sources import SOURCES, Source
from engage_assets.domain.tables import (
    CUSTOMERS,
    EMAIL_CAMPAIGNS,
    EMAIL_LIST,
    INPUT_TABLES,
    LIST_VERDICTS,
    OPT_OUT_LOG,
    SENDS_LOG,
    SET_ASIDE,
    VERDICT_COLUMNS,
    declared,
    empty_frame,
)
from engage_assets.filters import clauses_of, judge, refused_by
from engage_assets.filters import not_evaluated as clauses_not_evaluated
from engage_assets.filters.facts import Asking, join_facts
from engage_assets.lake import slices
from engage_assets.scoring.bands import band
from engage_assets.scoring.examples import examples
from engage_assets.scoring.features import join_features, unavailable
from engage_assets.scoring.local import LocalScorer
from engage_assets.scoring.model_files import load

RANGE_ROWS = 600_000
"""Records that are worked on at a time; more cost more memory, fewer read the history more often."""
MESSAGES = 5_000
"""Messages that are rendered at a time."""

_ORDER = ["customer_id", "subject_id", "record_id"]


@dataclass(frozen=True)
class Batch:
    """One partition of one program, and what its stages read."""

    program: Program
    partition: date
    marketplaces: Mapping[str, Marketplace]
    warehouse: Warehouse
    range_rows: int = RANGE_ROWS

    @property
    def instant(self) -> datetime:
        """The batch instant."""
        return self.program.cadence.batch_instant(self.partition)

    @property
    def source(self) -> Source:
        """What the program's source table holds."""
        return SOURCES[self.program.source_table]

    @cached_property
    def tables(self) -> Mapping[str, pl.LazyFrame]:
        """The warehouse's tables that are there, by noun. Raises WarehouseError where one breaks its contract."""
        database = self.program.connector.config.database
        found = {
            name: self.warehouse.scan(table, database, required=table is CUSTOMERS)
            for name, table in INPUT_TABLES.items()
            if name != self.source.table.name
        }
        return {name: frame for name, frame in found.items() if frame is not None}

    @cached_property
    def available(self) -> frozenset[str]:
        """`table.column` of every fact that this deployment declares; the ledger's are always there."""
        columns = {name: frame.collect_schema().names() for name, frame in self.tables.items()}
        source = self.warehouse.checked(self.source.table, self.program.connector.config.database, required=True)
        assert source is not None
        columns[self.source.table.name] = list(source.types)
        return declared({**columns, "send_events": SENDS_LOG.names, "given_opt_outs": OPT_OUT_LOG.names})

    @property
    def flags(self) -> list[str]:
        """The filters' flag columns."""
        return [refused_by(spec.filter_id) for spec in self.program.filters]

    def check(self) -> None:
        """Stop before any work where a table, a filter or a feature cannot be had. Raises EngageError."""
        self.warehouse.checked(self.source.table, self.program.connector.config.database, required=True)
        clauses_of(self.program, self.available)
        for model in self.program.scoring_models:
            lacking = unavailable(model.features, self.available)
            if lacking:
                needs = "; ".join(f"{feature} needs {', '.join(columns)}" for feature, columns in lacking.items())
                raise ModelError(
                    f"model {model.model_id} of {self.program.program_id} names features that this warehouse cannot"
                    f" give: {needs}; bring the tables, or remove the features from the program"
                )


@dataclass(frozen=True)
class Range:
    """Customers from `first` (inclusive; None: from the start, nulls too) to `end` (exclusive; None: to the last)."""

    first: str | None
    end: str | None

    def of(self, frame: pl.LazyFrame, column: str = "customer_id") -> pl.LazyFrame:
        """The rows of `frame` whose customer lies in the range."""
        if self.first is not None:
            frame = frame.filter(pl.col(column) >= self.first)
        if self.end is not None:
            below = pl.col(column) < self.end
            frame = frame.filter(below if self.first is not None else below | pl.col(column).is_null())
        return frame


def customer_ranges(raw: pl.LazyFrame, column: str, rows: int) -> list[Range]:
    """Ranges of about `rows` records each; `raw` is sorted by customer, nulls first."""
    total = raw.select(pl.len()).collect().item()
    cuts = [raw.slice(place, 1).select(column).collect().item() for place in range(rows, total, rows)]
    bounds = [None, *sorted({cut for cut in cuts if cut is not None}), None]
    return [Range(first, end) for first, end in pairwise(bounds)]


def check_records(batch: Batch, raw: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """Every record with its candidate columns and `reason`: null, or what contract and duplicates refuse."""
    customer = batch.source.customer
    # Only the customers are read again for each range, so that ranges may be small.
    for part in customer_ranges(raw, customer, max(batch.range_rows // 2, 1)):
        checked = check_contract(
            _frame(part.of(raw, customer)),
            _frame(batch.tables["customers"]),
            source=batch.source,
            program=batch.program,
            marketplaces=batch.marketplaces,
            partition=batch.partition,
            settle=_collected,
        )
        yield _sorted(refuse_duplicates(_collected(checked)))


def candidates_of(batch: Batch, checked: pl.DataFrame) -> pl.DataFrame:
    """The checked records that keep the contract and repeat none."""
    return checked.filter(pl.col("reason").is_null()).select(column.name for column in batch.source.candidate_columns)


def set_aside_of(checked: pl.DataFrame) -> pl.DataFrame:
    """The checked records that were refused, with their reason."""
    return checked.filter(pl.col("reason").is_not_null()).select(SET_ASIDE.names)


def judge_candidates(
    batch: Batch, candidates: pl.LazyFrame, send_events: pl.LazyFrame | None, opt_outs: pl.LazyFrame | None
) -> Iterator[pl.DataFrame]:
    """Every candidate with its flags, reason, quota and eligibility. The ledger's frames are cut at the instant."""
    tables = {
        **{name: _frame(frame) for name, frame in batch.tables.items()},
        "send_events": _frame(send_events if send_events is not None else empty_frame(SENDS_LOG).lazy()),
        "given_opt_outs": _frame(opt_outs if opt_outs is not None else empty_frame(OPT_OUT_LOG).lazy()),
    }
    names = [column.name for column in (*batch.source.candidate_columns, *VERDICT_COLUMNS)]
    keys = ["customer_id", "subject_id", *batch.source.carried]
    asking = Asking(batch.program, batch.instant, _collected)
    for part in customer_ranges(candidates, "customer_id", batch.range_rows):
        # Facts are joined to keys and a place alone, and set beside the candidates: a join copies what it carries.
        given = part.of(candidates).collect()
        placed = given.lazy().select(keys).with_row_index("place")
        facts = join_facts(_frame(placed), tables, asking).to_native().sort("place").drop("place", *keys).collect()
        beside = pl.concat([given, facts], how="horizontal")
        judged = judge(_frame(beside.lazy()), batch.program, batch.available).select(*names, *batch.flags)
        yield judged.to_native().collect()


def accepted_of(batch: Batch, verdicts: pl.DataFrame) -> pl.DataFrame:
    """The candidates that every filter accepts, with quota and eligibility."""
    columns = (*batch.source.candidate_columns, *VERDICT_COLUMNS)
    names = [column.name for column in columns if column.name != "reason"]
    return verdicts.filter(pl.col("reason").is_null()).select(names)


def score(batch: Batch, accepted: pl.LazyFrame, scorer: Scorer) -> Iterator[pl.DataFrame]:
    """The accepted candidates with the model's features, probability, score, band and model version."""
    model = batch.program.scoring_models[0]
    for part in customer_ranges(accepted, "customer_id", max(batch.range_rows // 2, 1)):
        featured = part.of(accepted).with_columns(as_of=pl.lit(batch.instant).cast(pl.Datetime("us"))).collect()
        for name in model.features:  # one after the other, so that their tables are not all in memory at once
            featured = join_features(featured.lazy(), batch.tables, [name]).collect()
        featured = featured.drop("as_of").sort(_ORDER)
        scored = pl.concat([featured, scorer.score(featured)], how="horizontal")
        banded = _frame(scored.lazy()).with_columns(
            band("score").alias("band"), nw.lit(scorer.version).alias("model_version")
        )
        yield banded.to_native().collect()


def training_examples(batch: Batch, model: ScoringModel, as_of: date) -> pl.DataFrame:
    """Examples with the model's features, as known at each example's instant."""
    config = batch.program.connector.config
    deliveries = batch.warehouse.scan(batch.source.table, config.database, required=True)
    assert deliveries is not None
    if "reviews" not in batch.tables:
        raise ModelError(
            f"model {model.model_id} learns from {config.database}.reviews, which is missing: bring the table"
        )
    found = examples(deliveries, batch.tables["reviews"], model=model, as_of=as_of, batch_time=batch.program.cadence.at)
    return join_features(found, batch.tables, model.features).sort("as_of", "customer_id", "subject_id").collect()


def scorer_of(models: Path, program: Program) -> Scorer:
    """The current version of the program's model out of the folder of models. Raises ModelError where there is none."""
    model = load(models / program.program_id, program.scoring_models[0].model_id)
    return LocalScorer(model, program.scoring_batch_size)


def storable(scored: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """The candidates that have a score, some at a time."""
    return (part.filter(pl.col("score").is_not_null()) for part in slices(scored, 100_000))


def differing(scored: pl.LazyFrame, stored: pl.DataFrame, counts: StoreCounts) -> int:
    """Scored rows that the store should hold for the partition and holds not, or with another score.

    An expired partition is not in the store, and a newer one may have taken an item over.
    """
    key = ["customer_id", "marketplace", "subject_id", "score"]
    equal = scored.select(key).join(stored.lazy().select(key), on=key, how="semi").select(pl.len()).collect().item()
    return counts.inserted + counts.updated + counts.unchanged - int(equal)


def fill_lists(batch: Batch, scored: pl.LazyFrame) -> pl.DataFrame:
    """LIST_VERDICTS over all channels that have a list."""
    verdicts = [
        lists.fill(lists.judge_for_list(_frame(scored), channel).to_native().collect(), channel)
        for channel in batch.program.list_channels
    ]
    return pl.concat(verdicts or [empty_frame(LIST_VERDICTS)]).sort("customer_id", "record_id", "channel")


def email_channel(program: Program) -> EmailChannel | None:
    """The program's e-mail channel, where it is enabled."""
    return next((channel for channel in program.enabled_channels if isinstance(channel, EmailChannel)), None)


def list_for_email(batch: Batch, scored: pl.LazyFrame, verdicts: pl.DataFrame) -> pl.DataFrame:
    """The e-mail list by rank: campaign, template and slot of each recipient; no rows without an e-mail channel."""
    channel = email_channel(batch.program)
    if channel is None:
        return empty_frame(EMAIL_LIST)
    return lists.email_list(
        scored,
        verdicts,
        program=batch.program,
        channel=channel,
        partition=batch.partition,
        marketplaces={code: batch.marketplaces[code] for code in batch.program.marketplaces},
    )


def decide_records(
    batch: Batch,
    set_aside: pl.LazyFrame,
    verdicts: pl.LazyFrame,
    scored: pl.LazyFrame,
    list_verdicts: pl.LazyFrame,
) -> Iterator[pl.DataFrame]:
    """DECISIONS and flags of every input record."""
    versions = scored.select("model_version").first().collect()
    version = versions.item() if versions.height else ""
    channels = [channel.channel_id for channel in batch.program.list_channels]
    for part in customer_ranges(verdicts, "customer_id", batch.range_rows):
        listed = lists.final_reasons(_frame(part.of(list_verdicts)), channels)
        yield _sorted(
            decide(
                _frame(part.of(set_aside)),
                _frame(part.of(verdicts)),
                _frame(part.of(scored)),
                listed,
                program=batch.program,
                partition=batch.partition,
                model_version=version,
                flags=batch.flags,
            )
        )


def render_campaigns(batch: Batch, listed: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """EMAIL_CAMPAIGNS, some thousand messages at a time, by rank."""
    channel = email_channel(batch.program)
    yield empty_frame(EMAIL_CAMPAIGNS)
    if channel is None:
        return
    rows = listed.sort("rank").collect()
    named = rows.join(subject_names(batch, rows), on="subject_id", how="left", maintain_order="left")
    for part in named.iter_slices(MESSAGES):
        yield email.render(part, program=batch.program, channel=channel, marketplaces=batch.marketplaces)


def subject_names(batch: Batch, rows: pl.DataFrame) -> pl.DataFrame:
    """`subject_id` and `subject_name` of the subjects of `rows`, where the deployment names them."""
    wanted = rows.lazy().select("subject_id").unique()
    products = batch.tables.get("products")
    if products is None or "name" not in products.collect_schema().names():
        return wanted.with_columns(subject_name=pl.lit(None, dtype=pl.String)).collect()
    names = products.select(subject_id="product_id", subject_name="name")
    return (
        names.join(wanted, on="subject_id", how="semi")
        .group_by("subject_id")
        .agg(pl.col("subject_name").max())
        .collect()
    )


def _frame(frame: pl.LazyFrame) -> Frame:
    return nw.from_native(frame)


def _collected(frame: Frame) -> Frame:
    """Compute now: Polars would otherwise read a table once per use, and hold all tables of a plan at the same time."""
    collected: pl.DataFrame = frame.to_native().collect()
    return _frame(collected.lazy())


def _sorted(frame: Frame) -> pl.DataFrame:
    collected: pl.DataFrame = frame.to_native().sort(_ORDER).collect()
    return collected


def not_evaluated(batch: Batch) -> list[tuple[str, str]]:
    """Clauses that this deployment cannot evaluate, with the facts that it does not declare.

    Beside those of the filters: channel eligibility, where no address is declared.
    """
    clauses = clauses_not_evaluated(batch.program, batch.available)
    if email_channel(batch.program) and "customers.email" not in batch.available:
        clauses.append(("CHANNEL_INELIGIBLE", "customers.email"))
    return clauses


def closing_counts(raw: pl.LazyFrame, decisions: pl.LazyFrame) -> dict[str, int]:
    """Records, decisions, distinct records decided, and decisions without a reason."""
    counts = decisions.select(
        decisions=pl.len(), distinct=pl.col("record_id").n_unique(), without_reason=pl.col("reason").null_count()
    ).collect()
    return {"records": raw.select(pl.len()).collect().item(), **counts.row(0, named=True)}


def closes(counts: Mapping[str, int]) -> bool:
    """Whether every record ended in exactly one reason."""
    return counts["records"] == counts["decisions"] == counts["distinct"] and counts["without_reason"] == 0
