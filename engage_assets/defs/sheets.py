"""What is known of a program's assets before they run: columns, inputs, description, freshness.

One sheet per asset; the assets themselves are in intake_assets, decision_assets, campaign_assets and report_assets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import dagster as dg

from engage_assets.defs.batch import in_app_channel
from engage_assets.defs.describe import lineage_of, schema_of
from engage_assets.defs.partitions import made_by, partitions_of
from engage_assets.domain.events import ATTENDANCE_FORECASTS
from engage_assets.domain.feature_views import FeatureView, missing_flag
from engage_assets.domain.playlist_tables import PLAYLIST_CHANGES, PLAYLISTS
from engage_assets.domain.program import Program
from engage_assets.domain.sources import SOURCES
from engage_assets.domain.tables import (
    DECISIONS,
    EMAIL_CAMPAIGNS,
    EMAIL_LIST,
    IN_APP_BANNERS,
    LIST_VERDICTS,
    METRICS,
    OUTCOMES,
    SCORES,
    SET_ASIDE,
    VERDICT_COLUMNS,
    Column,
)
from engage_assets.filters import refused_by

Key = tuple[str, ...]
COMBINATION = "combined_models"
"""Name of the asset that joins a program's models, where it has several."""
SEND_EVENTS: Key = ("ledger", "send_events")
GIVEN_OPT_OUTS: Key = ("ledger", "opt_outs")
GIVEN_RESPONSES: Key = ("ledger", "responses")
GIVEN_REGISTRATIONS: Key = ("ledger", "registrations")
GIVEN_SURVEY_ANSWERS: Key = ("ledger", "survey_answers")
MIRRORED: str = "ledger_mirrored"
"""Name of the asset with which a weekly batch brings the ledger's mirror up to its instant."""


@dataclass(frozen=True)
class Sheet:
    """One asset: its key, the columns of its file, what it is made of, and how it is described."""

    key: Key
    description: str
    grain: str
    columns: Sequence[Column] = ()
    deps: Sequence[Key] = ()
    kinds: frozenset[str] = frozenset({"polars", "parquet"})
    made_of: Mapping[str, Sequence[str]] = field(default_factory=dict)
    due_hours: int | None = None
    """Hours after the batch instant by which it is expected."""

    @property
    def asset_key(self) -> dg.AssetKey:
        """The key as Dagster knows it."""
        return dg.AssetKey(list(self.key))


def program_sheets(program: Program) -> dict[str, Sheet]:
    """The sheets of a program's assets by name, `candidates` to `warehouse_export`."""
    source = SOURCES[program.source_table]

    def key(name: str) -> Key:
        return (program.key, name)

    flags = [
        Column(refused_by(spec.filter_id), "flag", f"Whether the filter {spec.filter_id} refuses; null: not asked.")
        for spec in program.filters
    ]
    candidate = source.candidate_columns
    accepted = (*candidate, *(column for column in VERDICT_COLUMNS if column.name != "reason"))
    described = {feature.name: feature for view in program.used_views for feature in program.features_of(view)}
    taken = list(dict.fromkeys(name for model in program.scoring_models for name in model.features))
    stored = source.feature_columns(taken)
    shown = list(stored.values())
    features = [Column(stored[name], described[name].type, described[name].description) for name in taken]
    verdicts = [key(f"{model.key}_verdict") for model in program.scoring_models]
    several = program.scoring_models if len(program.scoring_models) > 1 else ()
    verdicts += [key(COMBINATION)] if several else []
    own = [
        Column(f"{model.key}_{name}", "number", f"The {name} that {model.model_id} gives.")
        for model in several
        for name in ("probability", "score")
    ]
    renamed = {"customer_id": [source.customer], "subject_id": [source.subject]}
    raw, scored = key(source.raw_asset), key("scored_candidates")
    sheets = [
        Sheet(
            raw,
            "Input records of the day, as the program's query returns them. Late records of earlier days are marked.",
            source.table.grain,
            source.raw_columns,
            kinds=frozenset({program.connector.type, "duckdb", "parquet"}),
            due_hours=1,
        ),
        Sheet(
            key("candidates"),
            "Records that keep the contract, as candidates.",
            "one row per customer and subject",
            candidate,
            [raw],
            made_of={**renamed, "event_at": [source.event, *([source.day] if source.day else [])]},
        ),
        Sheet(
            key(SET_ASIDE.name),
            "Records that break the contract or repeat another: set aside with their reason, never dropped.",
            SET_ASIDE.grain,
            SET_ASIDE.columns,
            [raw],
            made_of=renamed,
        ),
        Sheet(
            key("filter_verdicts"),
            "Every candidate with one flag per filter and the first reason that refuses it.",
            "one row per candidate",
            (*candidate, *VERDICT_COLUMNS, *flags),
            [key("candidates"), *history_keys(program)],
        ),
        Sheet(
            key("filtered_candidates"),
            "Candidates that every filter accepts, with the customer's quota and channels.",
            "one row per customer and subject",
            accepted,
            [key("filter_verdicts")],
        ),
        Sheet(
            scored,
            "Accepted candidates with features as known at the batch instant, probability, score and band.",
            "one row per customer and subject",
            (*accepted, *features, *SCORES[:2], *own, *SCORES[2:]),
            [key("filtered_candidates"), *(key(features_name(view)) for view in program.used_views), *verdicts],
            kinds=frozenset({"polars", "parquet", "scikitlearn"}),
            made_of={
                **dict.fromkeys(("probability", "score", "band"), shown),
                **{column: [name] for name, column in stored.items() if column != name},
            },
        ),
        *(_view_sheet(program, view) for view in program.used_views),
        Sheet(
            key("stored_candidates"),
            "The scored candidates in the candidate store, for on-demand channels.",
            "one item per customer, program, marketplace and subject, with a time to live",
            (*accepted, *SCORES),
            [scored],
            kinds=frozenset({"sqlite"}),
            due_hours=2,
        ),
        Sheet(
            key(LIST_VERDICTS.name),
            "Who is on which channel's list, and why the others are not.",
            LIST_VERDICTS.grain,
            LIST_VERDICTS.columns,
            [scored],
        ),
        Sheet(
            key(EMAIL_LIST.name),
            "The day's e-mail list: the best candidates within each customer's quota, with campaign and slot.",
            EMAIL_LIST.grain,
            EMAIL_LIST.columns,
            [key(LIST_VERDICTS.name), scored],
            made_of={
                "rank": ["score"],
                "campaign_id": ["marketplace", *source.segments],
                **({"segments": source.segments} if source.segments else {}),
                "slot_at": ["time_zone"],
            },
        ),
        Sheet(
            key(DECISIONS.name),
            "One terminal reason per input record; the counts close.",
            DECISIONS.grain,
            (*DECISIONS.columns, *flags),
            [key("filter_verdicts"), key(SET_ASIDE.name), scored, key(LIST_VERDICTS.name), raw],
            due_hours=2,
        ),
        Sheet(
            key(EMAIL_CAMPAIGNS.name),
            "Rendered messages, ready for their slots; the person's name and address are merged at the send.",
            EMAIL_CAMPAIGNS.grain,
            EMAIL_CAMPAIGNS.columns,
            [key(EMAIL_LIST.name), key(DECISIONS.name)],
            kinds=frozenset({"jinja", "parquet"}),
        ),
        *([_banner_sheet(program)] if in_app_channel(program) else []),
        Sheet(
            key(OUTCOMES.name),
            "What became of each send: its state, what people and machines did, and the answer; one file per night.",
            OUTCOMES.grain,
            OUTCOMES.columns,
            [key(EMAIL_CAMPAIGNS.name), key("email_sends"), key("responses")],
        ),
        Sheet(
            key(METRICS.name),
            "The batch and what it caused in figures, each with its formula; one file per night.",
            METRICS.grain,
            METRICS.columns,
            [
                *(key(name) for name in (DECISIONS.name, OUTCOMES.name, "filter_verdicts", "scored_candidates")),
                *(key(name) for name in ((PLAYLISTS.name, PLAYLIST_CHANGES.name) if program.playlists else ())),
                *((key(ATTENDANCE_FORECASTS.name),) if source.form == "registration" else ()),
            ],
        ),
        Sheet(
            key("daily_report"),
            "The day's report: one HTML page that opens offline.",
            "one page per partition and night",
            (),
            [key(METRICS.name)],
            kinds=frozenset({"html"}),
        ),
        Sheet(
            key("warehouse_export"),
            "Scored candidates and decisions as partitioned Parquet with a catalogue, for any engine.",
            "one file per table and partition",
            (),
            [scored, key(DECISIONS.name)],
            kinds=frozenset({"parquet"}),
            due_hours=3,
        ),
    ]
    return {sheet.key[1]: sheet for sheet in sheets}


def history_keys(program: Program) -> list[Key]:
    """The assets through which a program's batch knows the ledger.

    Days of the mirror are partitions of daily programs; a weekly batch has a step of its own that makes all that it
    lacks, as one job has partitions of one kind.
    """
    if program.cadence.period == "weekly":
        return [(program.key, MIRRORED)]
    registers = SOURCES[program.source_table].form == "registration"
    return [SEND_EVENTS, GIVEN_OPT_OUTS, GIVEN_RESPONSES, *([GIVEN_REGISTRATIONS] if registers else [])]


def asset_specs(program: Program, *names: str) -> list[dg.AssetSpec]:
    """Dagster's specs of the named assets of `program`."""
    sheets = program_sheets(program)
    known = {sheet.key: [column.name for column in sheet.columns] for sheet in sheets.values()}
    return [spec_of(program, sheets[name], known) for name in names]


def spec_of(program: Program, sheet: Sheet, known: Mapping[Key, Sequence[str]]) -> dg.AssetSpec:
    """Dagster's spec of one sheet; `known`: by key the columns of the program's assets, for the lineage."""
    upstream = {dep: known[dep] for dep in sheet.deps if dep in known}
    columns = {
        "dagster/column_schema": schema_of(sheet.columns),
        "dagster/column_lineage": lineage_of(sheet.columns, upstream, sheet.made_of),
        "dagster/table_name": ".".join(sheet.key),
    }
    return dg.AssetSpec(
        sheet.asset_key,
        deps=[dg.AssetKey(list(dep)) for dep in sheet.deps],
        description=f"{sheet.description}\n\n**Grain:** {sheet.grain}.",
        group_name=program.key,
        owners=list(program.owners),
        kinds=set(sheet.kinds),
        tags={"program": program.program_id},
        code_version="1",
        metadata=columns if sheet.columns else {},
        partitions_def=partitions_of(program),
        freshness_policy=_due(program, sheet.due_hours) if sheet.due_hours else None,
    )


def features_name(view: FeatureView) -> str:
    """Name of the asset of a view's features: `activity_features`."""
    return f"{view.view}_features"


def _one(view: FeatureView) -> str:
    return " and ".join(name.removesuffix("_id") for name in view.key_columns)


def _banner_sheet(program: Program) -> Sheet:
    listed = [(program.key, name) for name in (LIST_VERDICTS.name, "scored_candidates", DECISIONS.name)]
    return Sheet(
        (program.key, IN_APP_BANNERS.name),
        "Banners in the customers' languages, from when to when each may be shown. Asked again when it opens, and at"
        " each look: who has answered sees none.",
        IN_APP_BANNERS.grain,
        IN_APP_BANNERS.columns,
        listed,
    )


def _view_sheet(program: Program, view: FeatureView) -> Sheet:
    columns = [Column(name, "key", f"The {name.removesuffix('_id')}.") for name in view.key_columns]
    for feature in program.features_of(view):
        columns.append(Column(feature.name, feature.type, feature.description))
        columns.append(Column(missing_flag(feature.name), "flag", "Whether nothing was known: the default stands."))
    return Sheet(
        (program.key, features_name(view)),
        f"{view.description} Values as known at the batch instant, of every {_one(view)} among the accepted.",
        f"one row per {_one(view)}",
        columns,
        [(program.key, "filtered_candidates")],
        due_hours=2,
    )


def _due(program: Program, hours: int) -> dg.FreshnessPolicy:
    """Fresh when made between the batch instant and `hours` after it."""
    at = program.cadence.at
    return made_by(replace(program.cadence, at=at.replace(hour=(at.hour + hours) % 24)).cron, timedelta(hours=hours))
