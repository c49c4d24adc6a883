"""A program as its YAML file states it. Immutable; unknown keys are errors."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import time, timedelta
from typing import Annotated, Final, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from engage_assets.domain.cadence import Cadence, read_aws_cron, read_weekly_cron
from engage_assets.domain.channel_specs import ChannelSpec, ClockTime, InAppChannel, ListSection, VoiceChannel
from engage_assets.domain.duration import Duration
from engage_assets.domain.feature_views import Feature, FeatureView
from engage_assets.domain.filter_specs import FilterSpec, FrequencyCapFilter
from engage_assets.domain.playlist_spec import Playlists
from engage_assets.domain.spec import Spec

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$")]


class ConnectorConfig(Spec):
    """Where the records come from. The query is in the warehouse's own dialect."""

    database: str = Field(min_length=1, description="Database of the tables that the query names.")
    query: str = Field(min_length=1, description="The SQL that returns the records of a partition.")
    table: str | None = Field(None, description="The source table; default: the first table after FROM in the query.")
    schema_: str | None = Field(None, alias="schema", description="Schema within the database (Snowflake).")
    cluster: str | None = Field(None, description="Redshift cluster.")
    account: str | None = Field(None, description="Snowflake account.")
    partition_column: str | None = Field(
        None, description="The column whose day is the partition's; default: the source table's own day column."
    )
    arrival_column: str | None = Field(
        None,
        description="The column that says when a record arrived; with it late records are taken by the next batch.",
    )
    late_days: int = Field(
        2, ge=0, le=30, description="Days before the partition's whose late records are still taken."
    )

    @property
    def place(self) -> str:
        """Folder of its tables in an embedded warehouse: the database's, or the schema's within it."""
        return f"{self.database}/{self.schema_}" if self.schema_ else self.database


class DataConnector(Spec):
    """One source of records."""

    connector_id: str = Field(min_length=1)
    type: Literal["athena", "redshift", "snowflake", "duckdb"]
    config: ConnectorConfig


HYPERPARAMETERS: Final[dict[str, dict[str, float]]] = {
    "gradient-boosted-trees": {
        "learningRate": 0.05,
        "maxIterations": 200,
        "maxLeaves": 7,
        "minSamplesPerLeaf": 100,
        "l2Regularization": 1.0,
    },
    "logistic-regression": {"inverseRegularization": 1.0},
}
"""Settings of each kind of model and their defaults."""


class ScoringModel(Spec):
    """A model, the features that it takes, and how it is trained."""

    model_id: Name
    endpoint: str = Field(pattern=r"^(sagemaker|local)://.+", description="Provider and name of the deployed model.")
    features: tuple[str, ...] = Field(min_length=1, description="Features that the model takes, by name.")
    weight: float = Field(1.0, gt=0, description="Weight of its score where a program has several models.")
    kind: Literal["gradient-boosted-trees", "logistic-regression"] = "gradient-boosted-trees"
    label: Literal["answered", "liked", "reviewed", "interested", "attended"] = Field(
        "answered",
        description="answered: whether a person asked answered; liked: whether who answered liked it; reviewed: whether"
        " a customer answered unasked; interested: whether a person asked clicked or registered; attended: whether a"
        " person asked came.",
    )
    metric: Literal["roc_auc", "average_precision", "log_loss"] = Field(
        "roc_auc", description="What a new version must be better at to be used."
    )
    hyperparameters: dict[str, float] = Field(
        default_factory=dict, description="Settings of the kind; others are its defaults."
    )
    label_days: int = Field(
        14, ge=1, description="Days within which an answer counts as caused; also the label's maturity."
    )
    history_days: int = Field(180, ge=7, description="Days of examples before the training date.")

    @model_validator(mode="after")
    def _has_settings_of_its_kind(self) -> Self:
        known = HYPERPARAMETERS[self.kind]
        unknown = sorted(self.hyperparameters.keys() - known.keys())
        if unknown:
            raise ValueError(f"hyperparameters {', '.join(unknown)}: {self.kind} has {', '.join(known)}")
        return self

    @property
    def key(self) -> str:
        """The model's part of asset names, `review_propensity_v2`."""
        return self.model_id.replace("-", "_")

    @property
    def asset_name(self) -> str:
        """Name of the model's asset: `review_propensity_v2_model`."""
        return f"{self.key}_model"


class ReminderRule(Spec):
    """One reminder before an event."""

    days_before: int = Field(ge=0)
    channel: str
    time: ClockTime | None = None


class EventConfig(Spec):
    """Capacity and reminders of an event program."""

    capacity_limit: int | None = Field(None, ge=0)
    registration_deadline_days: int = Field(1, ge=0)
    reminder_schedule: tuple[ReminderRule, ...] = ()
    invite_lead_days: tuple[int, int] = (7, 13)
    notice_template_id: str = Field(
        "event-notice-v1", min_length=1, description="Folder of the templates of confirmations, reminders and surveys."
    )


class QuietHours(Spec):
    """Hours on the recipient's clock in which nothing is sent: from (inclusive) to (exclusive), over midnight too."""

    start: ClockTime = Field(alias="from", description='"HH:MM" on the recipient\'s clock.')
    end: ClockTime = Field(alias="to", description='"HH:MM" on the recipient\'s clock.')

    def covers(self, local: time) -> bool:
        """Whether a local clock time is quiet."""
        if self.start <= self.end:
            return self.start <= local < self.end
        return local >= self.start or local < self.end


class FeedbackPage(Spec):
    """What the feedback page offers."""

    tags: tuple[Annotated[str, Field(min_length=1, max_length=40)], ...] = Field(
        (), max_length=40, description="Words that a person may pick, as the page shows them (genres)."
    )

    @field_validator("tags")
    @classmethod
    def _are_different_tags(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        _unique("tag", value)
        return value


class Cost(Spec):
    """What the program costs; figures of the company, never measured by us."""

    currency: str = Field("USD", pattern=r"^[A-Z]{3}$")
    per_batch: float = Field(0, ge=0)
    per_message: float = Field(0, ge=0)
    per_prompt: float = Field(0, ge=0)


def _unique(what: str, names: Sequence[object]) -> None:
    """Raise ValueError where one of `names` stands more than once."""
    twice = sorted({str(name) for name in names if list(names).count(name) > 1})
    if twice:
        raise ValueError(f"{what} {', '.join(twice)} stands more than once; each must be unique")


def source_table_of(query: str, table: str | None = None) -> str:
    """Name of a connector's source table: the one that it names, else the first after FROM in its query."""
    found = re.search(r"\bFROM\s+[\"`]?([\w.]+)", query, re.IGNORECASE)
    return table or (found[1].split(".")[-1].lower() if found else "")


class Program(Spec):
    """An engagement program: whom it contacts, about what, through which channels."""

    program_id: Name
    program_name: str = Field(min_length=1)
    enabled: bool = Field(True, description="A disabled program has no schedule and makes no candidates.")
    marketplaces: tuple[str, ...] = Field(min_length=1, description="Codes out of marketplaces.yaml.")
    data_connectors: tuple[DataConnector, ...] = Field(min_length=1, max_length=1)
    scoring_models: tuple[ScoringModel, ...] = Field(min_length=1)
    filter_chain: tuple[FilterSpec, ...] = Field(min_length=1)
    channels: tuple[ChannelSpec, ...] = Field(min_length=1)
    batch_schedule: str = Field(description="AWS cron expression, UTC: cron(minute hour day month weekday year).")
    retraining_schedule: str = Field(
        "cron(0 3 ? * SUN *)", description="AWS cron expression, UTC, of one day a week: when the models are retrained."
    )
    export_schedule: str | None = Field(
        None,
        description="AWS cron expression, UTC, of every day, or of the day of a weekly batch: when the export is made;"
        " default: an hour later.",
    )
    candidate_ttl_days: int = Field(alias="candidateTTLDays", ge=1, description="Days that a stored candidate lives.")
    event_config: EventConfig | None = None
    owners: tuple[str, ...] = Field((), description="Owners shown on the assets: team:name or an address.")
    cap_scope: str | None = Field(
        None, description="Programs of the same scope share a customer's quota; default: the program."
    )
    program_priority: int = Field(
        100, ge=1, description="1 wins where programs of one cap scope want the same customer."
    )
    deadline: Duration = Field(timedelta(hours=2), description="Time that the batch may take, from its instant.")
    scoring_batch_size: int = Field(1000, ge=1, description="Candidates per call to a scoring provider.")
    score_cache_ttl_days: int | None = Field(
        None, alias="scoreCacheTTLDays", ge=0, description="Days that a score is reused."
    )
    exploration_share: float = Field(0, ge=0, lt=1, description="Share of the list drawn at random among the eligible.")
    feature_views: tuple[FeatureView, ...] = Field(
        (), description="Feature views of this program alone; those of all programs stand in features.yaml."
    )
    feedback: FeedbackPage | None = Field(None, description="What the page of a source with thumbs offers.")
    cost: Cost | None = None
    playlists: Playlists | None = Field(
        None, description="Present: answers make playlists per marketplace and segment."
    )
    approval: Literal["required"] | None = Field(
        None, description="required: nothing is sent before a person approves the campaign's audience."
    )
    quiet_hours: QuietHours | None = Field(None, description="Local hours in which nothing is sent.")
    minimum_volume: int = Field(
        0, ge=0, description="Fewer input records than this need a person's approval before a delivery."
    )

    @field_validator("batch_schedule")
    @classmethod
    def _is_a_known_cadence(cls, value: str) -> str:
        read_aws_cron(value)
        return value

    @field_validator("export_schedule")
    @classmethod
    def _is_made_as_often_as_decided(cls, value: str | None, info: ValidationInfo) -> str | None:
        batch = info.data.get("batch_schedule")
        is_daily = batch is None or read_aws_cron(batch).period == "daily"
        if value is not None and read_aws_cron(value).period == "weekly" and is_daily:
            raise ValueError('an export is made every day: "cron(30 3 * * ? *)"')
        return value

    @field_validator("retraining_schedule")
    @classmethod
    def _is_once_a_week(cls, value: str) -> str:
        read_weekly_cron(value)
        return value

    @field_validator("marketplaces")
    @classmethod
    def _are_different_marketplaces(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        _unique("marketplace", value)
        return value

    @field_validator("scoring_models")
    @classmethod
    def _are_different_models(cls, value: tuple[ScoringModel, ...]) -> tuple[ScoringModel, ...]:
        _unique("modelId", [model.model_id for model in value])
        return value

    @field_validator("filter_chain")
    @classmethod
    def _are_different_filters(cls, value: tuple[FilterSpec, ...]) -> tuple[FilterSpec, ...]:
        _unique("filterId", [spec.filter_id for spec in value])
        _unique("order", [spec.order for spec in value])
        return value

    @field_validator("channels")
    @classmethod
    def _are_different_channels(cls, value: tuple[ChannelSpec, ...]) -> tuple[ChannelSpec, ...]:
        _unique("channelId", [channel.channel_id for channel in value])
        _unique("type", [channel.type for channel in value])
        return value

    @property
    def key(self) -> str:
        """The program's part of asset keys, `product_reviews`."""
        return self.program_id.replace("-", "_")

    @property
    def used_views(self) -> tuple[FeatureView, ...]:
        """Its feature views that its models take features of."""
        return tuple(view for view in self.feature_views if self.features_of(view))

    def features_of(self, view: FeatureView) -> tuple[Feature, ...]:
        """The features of a view that its models take."""
        taken = {name for model in self.scoring_models for name in model.features}
        return tuple(feature for feature in view.features if feature.name in taken)

    @property
    def cadence(self) -> Cadence:
        """When its batches run."""
        return read_aws_cron(self.batch_schedule)

    @property
    def export_cadence(self) -> Cadence:
        """When its export is made: as stated, else an hour after the batch instant."""
        if self.export_schedule is not None:
            return read_aws_cron(self.export_schedule)
        return replace(self.cadence, at=self.cadence.at.replace(hour=(self.cadence.at.hour + 1) % 24))

    @property
    def export_at(self) -> time:
        """The time of day of its export, UTC."""
        return self.export_cadence.at

    @property
    def connector(self) -> DataConnector:
        """Its source."""
        return self.data_connectors[0]

    @property
    def source_table(self) -> str:
        """Name of the source table: `config.table`, else the first table after FROM in the query."""
        return source_table_of(self.connector.config.query, self.connector.config.table)

    @property
    def scope(self) -> str:
        """The cap scope: the named one, else the program's own."""
        return self.cap_scope or self.program_id

    @property
    def filters(self) -> tuple[FilterSpec, ...]:
        """Its filters in the order in which they give reasons."""
        return tuple(sorted(self.filter_chain, key=lambda spec: spec.order))

    @property
    def cap(self) -> FrequencyCapFilter | None:
        """Its frequency cap; None means no limit."""
        return next((spec for spec in self.filter_chain if isinstance(spec, FrequencyCapFilter)), None)

    @property
    def enabled_channels(self) -> tuple[ChannelSpec, ...]:
        """Channels in use."""
        return tuple(channel for channel in self.channels if channel.enabled)

    @property
    def list_channels(self) -> tuple[ListSection, ...]:
        """Channels in use that are filled from a day's candidates."""
        return tuple(channel for channel in self.enabled_channels if isinstance(channel, ListSection))

    @property
    def asking_channels(self) -> tuple[ListSection | VoiceChannel, ...]:
        """Channels in use in which people are asked."""
        return tuple(channel for channel in self.enabled_channels if isinstance(channel, ListSection | VoiceChannel))

    @property
    def prompt_channels(self) -> frozenset[str]:
        """Channels, by id, in which people are asked aloud: there nothing is opened, clicked or returned."""
        return frozenset(channel.channel_id for channel in self.channels if isinstance(channel, VoiceChannel))

    @property
    def banner_channels(self) -> frozenset[str]:
        """Channels, by id, whose messages are displayed in an application: there nothing is opened or returned."""
        return frozenset(channel.channel_id for channel in self.channels if isinstance(channel, InAppChannel))

    @property
    def config_hash(self) -> str:
        """12 hex digits that change with any key of the file."""
        text = json.dumps(self.model_dump(mode="json", by_alias=True), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]
