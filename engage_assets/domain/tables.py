"""One schema per table: what every program reads of a user's customers, and what crosses a room border in the lake.

Kinds say what a column holds; `SOURCE_TYPES` says which physical types are taken for it, `POLARS_TYPES`
what it becomes once it is inside. All instants are UTC without a zone attached.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

Kind = Literal["key", "text", "texts", "date", "instant", "number", "integer", "flag"]

POLARS_TYPES: Final[dict[Kind, pl.DataType]] = {
    "key": pl.String(),
    "text": pl.String(),
    "texts": pl.List(pl.String()),
    "date": pl.Date(),
    "instant": pl.Datetime("us"),
    "number": pl.Float64(),
    "integer": pl.Int64(),
    "flag": pl.Boolean(),
}

SOURCE_TYPES: Final[dict[Kind, str]] = {
    "key": "string or integer",
    "text": "string",
    "texts": "list of strings",
    "date": "date, timestamp or string",
    "instant": "timestamp, date or string",
    "number": "number",
    "integer": "integer",
    "flag": "boolean",
}

LARGEST: Final = 1.7976931348623157e308
"""The largest finite number; what is above it is infinite."""


@dataclass(frozen=True)
class Column:
    """A column: its name, what it holds, what it means, and whether a table without it is refused."""

    name: str
    kind: Kind
    description: str
    required: bool = False


@dataclass(frozen=True)
class Table:
    """A table: its noun, the database it lives in (None: the program's), what one row is, its columns."""

    name: str
    grain: str
    columns: tuple[Column, ...]
    database: str | None = None

    @property
    def names(self) -> list[str]:
        """Column names in order."""
        return [column.name for column in self.columns]

    @property
    def schema(self) -> dict[str, pl.DataType]:
        """Polars types by column."""
        return {column.name: POLARS_TYPES[column.kind] for column in self.columns}

    def __getitem__(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)


def needed(name: str, kind: Kind, description: str) -> Column:
    """A column without which a table is refused."""
    return Column(name, kind, description, required=True)


_CUSTOMER = needed("customer_id", "key", "The customer's key.")

CUSTOMERS = Table(
    "customers",
    "one row per customer",
    (
        _CUSTOMER,
        needed("marketplace", "text", "Code out of marketplaces.yaml."),
        Column("time_zone", "text", "IANA zone where the customer lives; null: the marketplace's."),
        Column("locale", "text", "BCP 47 language, de-DE; null: the marketplace's."),
        Column("name", "text", "Name to greet the customer with. Read at the send only."),
        Column("email", "text", "E-mail address. Read at the send only; what decides is whether it is there."),
        Column("push_subscription", "text", "Push subscription. Read at the send only."),
        Column("voice_allowed", "flag", "Whether a voice assistant may ask."),
        Column("is_test", "flag", "Test account: refused by the trust filter."),
    ),
    database="crm",
)
CUSTOMER_TRUST = Table(
    "customer_trust",
    "one row per customer and version; the latest known at the batch instant counts",
    (
        _CUSTOMER,
        needed("known_at", "instant", "When this row became known."),
        Column("account_status", "text", "active, suspended or closed."),
        Column("trust_score", "number", "0 to 1, higher is better."),
        Column("fraud_score", "number", "0 to 1, higher is worse."),
    ),
    database="crm",
)
OPT_OUTS = Table(
    "opt_outs",
    "one row per opt-out",
    (
        _CUSTOMER,
        needed("at", "instant", "When the customer opted out; null counts as long ago."),
        Column("program", "text", "programId; null: all programs."),
        Column("channel", "text", "email, in-app, push or voice; null: all channels."),
        Column("revoked_at", "instant", "When the opt-out was taken back."),
    ),
    database="crm",
)
# --- tables in the lake ---------------------------------------------------------------------------

SENDS_LOG = Table(
    "send_events",
    "one row per change of a send's state in (previous batch instant, this one]",
    (
        Column("send_id", "key", "The send: program, campaign, customer, subject, channel and slot."),
        Column("program", "text", "programId."),
        Column("campaign_id", "text", "The campaign."),
        Column("customer_id", "key", "Who was to be contacted."),
        Column("subject_id", "key", "About what."),
        Column("channel", "text", "Through which channel."),
        Column("slot_at", "instant", "When the message is due where the customer lives."),
        Column("cap_scope", "text", "Programs of one scope share a customer's quota."),
        Column("is_solicitation", "flag", "Whether it counts for caps (reminders and surveys do not)."),
        Column("state", "text", "planned, claimed, handed_over, sent, failed, in_doubt, skipped, held_out."),
        Column("at", "instant", "When the state began."),
        Column("reason", "text", "Why, where the state needs one."),
        Column("kind", "text", "What a notice tells (confirmation, reminder, survey, …); null: no notice."),
        Column("sequence", "integer", "Which of a person's notices of its kind about the subject."),
    ),
)
OPT_OUT_LOG = Table(
    "opt_outs",
    "one row per opt-out given to us up to the batch instant",
    OPT_OUTS.columns,
)
INTERACTIONS_LOG = Table(
    "interactions",
    "one row per interaction, counted once by its event",
    (
        Column("event_id", "key", "The provider's id of the event, or a key of ours."),
        Column("send_id", "key", "The send."),
        Column("kind", "text", "delivered, displayed, open, click, bounce or complaint."),
        Column("at", "instant", "When it happened."),
        Column("received_at", "instant", "When it was recorded: figures as of a night know what was received by then."),
        Column("machine_rule", "text", "The rule by which it is a machine's; null: a person's."),
        Column("is_permanent", "flag", "Bounces: whether the address will never take mail."),
        Column("source", "text", "pixel, redirect, page, app, worker, ses or generic."),
    ),
)
RESPONSES_LOG = Table(
    "responses",
    "one row per version of an answer that was given to us; no texts",
    (
        Column("response_id", "key", "The answer: one per program, customer and subject."),
        Column("version", "integer", "1 is the first; the highest stands."),
        Column("program", "text", "programId."),
        Column("customer_id", "key", "Who answered."),
        Column("marketplace", "text", "Where the customer shops."),
        Column("subject_type", "text", "The kind of subject."),
        Column("subject_id", "key", "About what."),
        Column("send_id", "key", "The send whose link was used; null: none."),
        Column("channel", "text", "channelId through which this version came."),
        Column("rating", "integer", "1 to 5; null: the form asks for none."),
        Column("is_positive", "flag", "Thumbs up, or yes; null: the form does not ask so."),
        Column("tags", "texts", "Words that were picked among those offered."),
        Column("has_text", "flag", "Whether words were written; they stay in the operational database."),
        Column("photos", "integer", "Photos that were given."),
        Column("at", "instant", "When it was first submitted."),
        Column("changed_at", "instant", "When this version was submitted."),
        Column("received_at", "instant", "When this version was recorded."),
    ),
)
AUDIT_LOG = Table(
    "audit",
    "one row per act of an operator",
    (
        Column("at", "instant", "When."),
        Column("who", "text", "Who; engage for what the system did by itself."),
        Column(
            "act",
            "text",
            "stop, resume, approve, resolve, import, opt_out, make_key, revoke_key, rotate_keys, accept_restore.",
        ),
        Column("target", "text", "The program, campaign, file or key."),
        Column("details", "text", "Counts and reasons."),
    ),
)
SERVICE_MINUTES = Table(
    "service_minutes",
    "one row per minute and process of the serving service",
    (
        Column("minute", "instant", "The minute's start."),
        Column("instance", "text", "The process."),
        Column("requests", "integer", "Requests answered."),
        Column("errors", "integer", "Answers with status 500 and above."),
        Column("buckets", "text", "JSON: requests by upper bound of their seconds."),
    ),
)
OUTCOMES = Table(
    "outcomes",
    "one row per send of the partition's campaigns, as of one night",
    (
        Column("send_id", "key", "The send."),
        Column("program", "text", "programId."),
        Column("partition_date", "date", "The partition whose list it comes from."),
        Column("as_of", "date", "The night (23:59 UTC) as of which it stands."),
        Column("campaign_id", "text", "The campaign."),
        Column("marketplace", "text", "The campaign's marketplace."),
        Column("channel", "text", "Through which channel."),
        Column("customer_id", "key", "Who."),
        Column("subject_id", "key", "About what."),
        Column("slot_at", "instant", "When it was due."),
        Column("outcome", "text", "responded, sent, in_doubt, failed, held_out, skipped or pending."),
        Column("reason", "text", "Why it was skipped, failed or is in doubt."),
        Column("sent_at", "instant", "When the transport took it."),
        Column("delivered_at", "instant", "When the provider says that it arrived."),
        Column("displayed_at", "instant", "When an application first displayed it to the person."),
        Column("first_open_at", "instant", "A person's first open."),
        Column("human_opens", "integer", "A person's opens."),
        Column("machine_opens", "integer", "Opens of scanners and prefetching mail programs."),
        Column("first_click_at", "instant", "A person's first click."),
        Column("human_clicks", "integer", "A person's clicks."),
        Column("machine_clicks", "integer", "Clicks of scanners."),
        Column("bounced_at", "instant", "When it bounced."),
        Column("is_hard_bounce", "flag", "Whether the address will never take mail; null: no bounce."),
        Column("complained_at", "instant", "When the person complained."),
        Column("responded_at", "instant", "When the person answered; at most 14 days after the send."),
        Column("rating", "integer", "The answer's rating."),
        Column("is_positive", "flag", "Thumbs up, or yes; null: no answer, or the form does not ask so."),
        Column("response_id", "key", "The answer."),
    ),
)
CANDIDATES = Table(
    "candidates",
    "one row per customer and subject of the partition that keeps the contract",
    (
        Column("record_id", "key", "The input record that it comes from."),
        Column("customer_id", "key", "Whom to contact."),
        Column("marketplace", "text", "Context: where the customer shops."),
        Column("subject_type", "text", "The kind of subject."),
        Column("subject_id", "key", "About what."),
        Column("event_at", "instant", "When it happened: the newest event ranks first among equal scores."),
        Column("time_zone", "text", "Where the customer lives; an unknown zone is the marketplace's."),
        Column("locale", "text", "The language of messages; an unknown one is the marketplace's."),
        Column("is_test", "flag", "Whether it is a test account; null: not stated."),
        Column("email_known", "flag", "Whether the customer has an e-mail address; null: the deployment has none."),
        Column("push_known", "flag", "Whether the customer has a push subscription; null: the deployment has none."),
        Column("voice_allowed", "flag", "Whether a voice assistant may ask; null: not stated."),
        Column("is_late", "flag", "Whether the record is of an earlier day and arrived after that day's batch."),
        Column("connector_id", "text", "Where the record was read."),
        Column("created_at", "instant", "The batch instant."),
        Column("expires_at", "instant", "The batch instant plus the program's TTL."),
    ),
)
SET_ASIDE = Table(
    "set_aside",
    "one row per input record that breaks the contract or repeats another",
    (
        Column("record_id", "key", "The input record."),
        Column("customer_id", "key", "The customer; null when the record has none."),
        Column("subject_id", "key", "The subject; null when the record has none."),
        Column("marketplace", "text", "The customer's marketplace, where known."),
        Column("reason", "text", "Which rule of the contract it breaks, or DUPLICATE."),
    ),
)
VERDICT_COLUMNS = (
    Column("reason", "text", "The first refusal in the chain's order; null: accepted by every filter."),
    Column("quota_left", "integer", "Requests that the cap still allows the customer; null: no limit."),
    Column("email_eligible", "flag", "Address known, channel enabled, not opted out of it."),
    Column("in_app_eligible", "flag", "Channel enabled, not opted out of it."),
    Column("push_eligible", "flag", "Subscription known, channel enabled, not opted out of it."),
    Column("voice_eligible", "flag", "Allowed by the customer, channel enabled, not opted out of it."),
)
"""What the filters add to a candidate, beside one `refused_by_<filter>` flag each."""
SCORES = (
    Column("probability", "number", "Calibrated probability of an answer, 6 decimals; null: not scored."),
    Column("score", "number", "Share of the model's reference population with a lower probability, 6 decimals."),
    Column("band", "text", "high from 0.7, medium from 0.4, else low."),
    Column("model_version", "text", "The model that scored."),
)
LIST_COLUMNS = (
    Column("record_id", "key", "The input record."),
    Column("customer_id", "key", "Whom to contact."),
    Column("marketplace", "text", "The campaign's marketplace."),
    Column("subject_type", "text", "The kind of subject."),
    Column("subject_id", "key", "About what."),
    Column("rank", "integer", "Place on the list, 1 first."),
    Column("score", "number", "The score; it gave the place unless the row was drawn by lot."),
    Column("event_at", "instant", "When it happened."),
    Column("locale", "text", "The language of the message."),
    Column("time_zone", "text", "Where the customer lives."),
    Column("campaign_id", "text", "program:channel:partition:marketplace, and a part for each of the segments."),
    Column("segments", "texts", "What splits the marketplace's campaigns, such as the genre; null: nothing does."),
    Column("template_id", "text", "The message's template."),
    Column("slot_local", "instant", "Date and time on the customer's clock."),
    Column("slot_at", "instant", "The same as an instant, UTC."),
    Column("is_exploration", "flag", "Whether the place went by lot (explorationShare)."),
)
EMAIL_LIST = Table("email_list", "one row per listed customer and subject", LIST_COLUMNS)
LIST_VERDICTS = Table(
    "list_verdicts",
    "one row per scored candidate and channel with a list",
    (
        Column("record_id", "key", "The input record."),
        Column("customer_id", "key", "The customer."),
        Column("channel", "text", "The channel whose list was filled."),
        Column("reason", "text", "LISTED, or why not."),
        Column("rank", "integer", "Place on the list; null when not listed."),
        Column("is_exploration", "flag", "Whether the place went by lot (explorationShare)."),
    ),
)
EMAIL_CAMPAIGNS = Table(
    "email_campaigns",
    "one row per message, rendered, with the person's name, address and signed links left open",
    (
        Column("campaign_id", "text", "The campaign: one per marketplace and segment."),
        Column("send_id", "key", "Key of the send."),
        Column("record_id", "key", "The input record."),
        Column("customer_id", "key", "Whom to contact."),
        Column("marketplace", "text", "Whose sender and footer."),
        Column("subject_type", "text", "The kind of subject."),
        Column("subject_id", "key", "About what."),
        Column("subject_name", "text", "Its name, where known."),
        Column("subject_maker", "text", "Who made it, where known."),
        Column("time_zone", "text", "Where the customer lives."),
        Column("template_id", "text", "The template."),
        Column("locale", "text", "The language that was rendered."),
        Column("slot_local", "instant", "Date and time on the customer's clock."),
        Column("slot_at", "instant", "The same as an instant, UTC."),
        Column("subject", "text", "The subject line."),
        Column(
            "text",
            "text",
            "The plain-text part; merge fields such as %%greeting%% are filled at the send.",
        ),
        Column("html", "text", "The HTML part; merge fields likewise."),
        Column("greeting_named", "text", "Greeting with %%name%%, used when a name is known."),
        Column("greeting_plain", "text", "Greeting without a name."),
    ),
)
IN_APP_BANNERS = Table(
    "in_app_banners",
    "one row per banner, in the customer's language",
    (
        Column("campaign_id", "text", "program:channel:partition:marketplace, and a part for each of the segments."),
        Column("send_id", "key", "Key of the send."),
        Column("record_id", "key", "The input record."),
        Column("customer_id", "key", "Who may see it."),
        Column("marketplace", "text", "The campaign's marketplace."),
        Column("subject_type", "text", "The kind of subject."),
        Column("subject_id", "key", "About what."),
        Column("subject_name", "text", "Its name, where known."),
        Column("subject_maker", "text", "Who made it, where known."),
        Column("time_zone", "text", "Where the customer lives."),
        Column("locale", "text", "The language of its words."),
        Column("rank", "integer", "Place on the list, 1 first."),
        Column("score", "number", "The score; it gave the place unless the row was drawn by lot."),
        Column("slot_local", "instant", "Date and time on the customer's clock from which on it is shown."),
        Column("slot_at", "instant", "The same as an instant, UTC."),
        Column("ends_at", "instant", "Until when: displayDuration, or when no answers are taken, if that is earlier."),
        Column("banner_type", "text", "The kind of banner."),
        Column("placement", "text", "Where the app shows it."),
        Column("displays_per_day", "integer", "How often a day a customer may be shown it."),
        Column("title", "text", "What it says."),
        Column("call", "text", "What its button says."),
        Column("is_exploration", "flag", "Whether the place went by lot (explorationShare)."),
    ),
)
DECISIONS = Table(
    "decisions",
    "one row per input record of the partition",
    (
        Column("program", "text", "programId."),
        Column("partition_date", "date", "The partition."),
        Column("record_id", "key", "The input record."),
        Column("customer_id", "key", "The customer; null when the record has none."),
        Column("subject_id", "key", "The subject; null when the record has none."),
        Column("marketplace", "text", "The customer's marketplace, where known."),
        Column("stage", "text", "Where it ended: contract, duplicate, a filter, score or list."),
        Column("reason", "text", "The one terminal reason."),
        Column("channels", "text", "Channels whose list holds it, comma-separated; null when not listed."),
        Column("probability", "number", "As scored; null before the score stage."),
        Column("score", "number", "As scored; null before the score stage."),
        Column("threshold", "number", "The lowest minScore of the channels with a list."),
        Column("config_hash", "text", "The program file that decided."),
        Column("model_version", "text", "The model that scored."),
    ),
)
METRICS = Table(
    "daily_metrics",
    "one row per metric, dimension and value, as of one night",
    (
        Column("program", "text", "programId."),
        Column("partition_date", "date", "The partition."),
        Column("as_of", "date", "The night (23:59 UTC) at which it was measured."),
        Column("metric", "text", "Name of the metric."),
        Column(
            "dimension",
            "text",
            "all, stage, reason, band, bucket, marketplace, channel, model, config, rating, send_reason, headroom,"
            " model_bucket, segment, thumbs, change, change_reason, event, event_channel, event_marketplace,"
            " event_rating, step, event_step or notice.",
        ),
        Column("member", "text", "Member of the dimension."),
        Column("numerator", "number", "What was counted."),
        Column("denominator", "number", "Out of what; null for plain counts."),
        Column("value", "number", "numerator ÷ denominator, or the count; null when it cannot be measured."),
        Column("note", "text", "The formula, or which input is missing."),
    ),
)


def frame_schema(columns: tuple[Column, ...]) -> dict[str, pl.DataType]:
    """Polars types by name of `columns`."""
    return {column.name: POLARS_TYPES[column.kind] for column in columns}


def empty_frame(table: Table) -> pl.DataFrame:
    """A frame of `table` without rows."""
    return pl.DataFrame(schema=table.schema)


def declared(tables: Mapping[str, list[str]]) -> frozenset[str]:
    """`table.column` of every column that is there, as clauses name what they need."""
    return frozenset(f"{table}.{column}" for table, columns in tables.items() for column in columns)
