"""The ledger's tables. Instants are UTC without a zone attached; customers stand there by key only."""

from typing import Final

from sqlalchemy import (
    Boolean,
    Column,
    Date,
    DateTime,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

SCHEMA_VERSION: Final = 2
"""A change here is a new file in `migrations/versions`."""

metadata = MetaData()

gate = Table(
    "gate",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("schema_version", Integer, nullable=False),
    comment="One row. Writers hold it shared, who cuts the log holds it alone.",
)
cuts = Table(
    "cuts",
    metadata,
    Column("until", DateTime, primary_key=True),
    comment="Instants up to which the log was read: no event is stamped at or before one that has passed.",
)
sends = Table(
    "sends",
    metadata,
    Column("send_id", String(32), primary_key=True, comment="Hash of the six columns that follow."),
    Column("program", Text, nullable=False),
    Column("campaign_id", Text, nullable=False, index=True),
    Column("customer_id", Text, nullable=False),
    Column("subject_id", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("slot_at", DateTime, nullable=False),
    Column("cap_scope", Text, nullable=False),
    Column("is_solicitation", Boolean, nullable=False),
    Column("state", Text, nullable=False, comment="The present state: the last of its send_states."),
    Column("planned_at", DateTime, nullable=False),
    Column("updated_at", DateTime, nullable=False, comment="When the present state began."),
    Column("step", Integer, nullable=False, server_default="0", comment="Place of the present state in its life."),
    Column("lease_until", DateTime, comment="Until when its owner must have moved a claimed or handed-over send on."),
    Column("priority", Integer, nullable=False, server_default="100", comment="The program's; 1 wins."),
    Column("marketplace", Text, nullable=False, server_default=""),
    Column("subject_type", Text, nullable=False, server_default="product"),
    Column("subject_name", Text),
    Column("locale", Text),
    Index("sends_of_customer", "customer_id", "subject_id"),
    Index("sends_waiting", "program", "state", "slot_at"),
    comment="One row per recipient, channel and slot.",
)
send_states = Table(
    "send_states",
    metadata,
    Column("send_id", String(32), primary_key=True),
    # No step can be taken twice, so the key also guards against a second claim.
    Column("step", Integer, primary_key=True, autoincrement=False),
    Column("state", Text, nullable=False),
    Column("at", DateTime, nullable=False, index=True),
    Column("reason", Text),
    # The promise: a message is handed to the transport at most once.
    Index(
        "handed_over_once",
        "send_id",
        unique=True,
        sqlite_where=text("state = 'handed_over'"),
        postgresql_where=text("state = 'handed_over'"),
    ),
    comment="One row per change of a send's state. Only ever added to.",
)
opt_outs = Table(
    "opt_outs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("customer_id", Text, nullable=False, index=True),
    Column("at", DateTime, nullable=False, index=True),
    Column("program", Text, comment="Null: all programs."),
    Column("channel", Text, comment="Null: all channels."),
    Column("revoked_at", DateTime),
    comment="One row per opt-out given to us.",
)
batches = Table(
    "batches",
    metadata,
    Column("program", Text, primary_key=True),
    Column("partition_date", Date, primary_key=True),
    Column("seconds", Float, nullable=False),
    Column("records", Integer, nullable=False),
    Column("at", DateTime, nullable=False),
    comment="One row per partition: its first completed batch.",
)
plans = Table(
    "plans",
    metadata,
    Column("campaign_id", Text, primary_key=True),
    Column("digest", String(64), nullable=False, comment="Hash of the send ids that were planned last."),
    Column("at", DateTime, nullable=False),
    comment="One row per campaign: what was planned last, so that an unchanged list is not planned again.",
)
interactions = Table(
    "interactions",
    metadata,
    Column("event_id", Text, primary_key=True),
    Column("send_id", String(32), nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", DateTime, nullable=False),
    Column("received_at", DateTime, nullable=False, index=True),
    Column("machine_rule", Text),
    Column("is_permanent", Boolean),
    Column("source", Text, nullable=False),
    Index("interactions_of_kind", "kind", "send_id"),
    comment="One row per event of a message, counted once.",
)
responses = Table(
    "responses",
    metadata,
    Column("response_id", String(32), primary_key=True, comment="Hash of program, customer and subject."),
    Column("program", Text, nullable=False),
    Column("customer_id", Text, nullable=False, index=True),
    Column("marketplace", Text, nullable=False),
    Column("subject_type", Text, nullable=False),
    Column("subject_id", Text, nullable=False),
    Column("send_id", String(32)),
    Column("rating", Integer, nullable=False),
    Column("body", Text, comment="What the person wrote. Never leaves this database by itself."),
    Column("photos", Text, nullable=False, comment="JSON list of file names in the home's photos folder."),
    Column("at", DateTime, nullable=False),
    Column("received_at", DateTime, nullable=False, index=True),
    comment="One row per program, customer and subject: the first answer counts.",
)
ratings = Table(
    "ratings",
    metadata,
    Column("subject_type", Text, primary_key=True),
    Column("subject_id", Text, primary_key=True),
    Column("answers", Integer, nullable=False),
    Column("total", Integer, nullable=False, comment="Sum of the ratings."),
    comment="Running rating of each subject, over our own responses.",
)
outbox = Table(
    "outbox",
    metadata,
    Column("entry_id", Integer, primary_key=True),
    Column("topic", Text, nullable=False),
    Column("payload", Text, nullable=False, comment="JSON of strings; keys only, no addresses, no texts."),
    Column("created_at", DateTime, nullable=False),
    Column("done_at", DateTime),
    Index(
        "outbox_waiting",
        "topic",
        "entry_id",
        sqlite_where=text("done_at IS NULL"),
        postgresql_where=text("done_at IS NULL"),
    ),
    comment="What must happen elsewhere because of something here; applied at least once, idempotently.",
)
suppressions = Table(
    "suppressions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("customer_id", Text, index=True, comment="Null: by address."),
    Column("address_hash", String(64), index=True, comment="SHA-256 of the address in lower case. Null: by customer."),
    Column("reason", Text, nullable=False, comment="hard_bounce, complaint or imported."),
    Column("at", DateTime, nullable=False),
    UniqueConstraint("customer_id", "reason"),
    UniqueConstraint("address_hash", "reason"),
    comment="Who must not be written to, whatever they prefer.",
)
stops = Table(
    "stops",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("target", Text, nullable=False, index=True, comment="A programId or a campaign_id."),
    Column("reason", Text, nullable=False),
    Column("who", Text, nullable=False, comment="An operator, or engage for an automatic pause."),
    Column("at", DateTime, nullable=False),
    Column("lifted_at", DateTime),
    comment="Stops and pauses; one that is not lifted holds.",
)
approvals = Table(
    "approvals",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("campaign_id", Text, nullable=False, index=True),
    Column("digest", String(64), nullable=False, comment="Hash of the audience that was approved."),
    Column("members", LargeBinary, nullable=False, comment="8 bytes per member of it, sorted."),
    Column("who", Text, nullable=False),
    Column("at", DateTime, nullable=False),
    comment="One row per approval; the latest of a campaign counts.",
)
audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", DateTime, nullable=False, index=True),
    Column("who", Text, nullable=False),
    Column("act", Text, nullable=False, comment="stop, resume, approve, resolve, import, make_key, revoke_key, …"),
    Column("target", Text, nullable=False),
    Column("details", Text, nullable=False),
    comment="Every operator's act. Only ever added to.",
)
alerts = Table(
    "alerts",
    metadata,
    Column("cause", Text, primary_key=True, comment="What it is about: told once."),
    Column("text", Text, nullable=False),
    Column("at", DateTime, nullable=False),
    Column("told_at", DateTime, comment="When every destination had it."),
    comment="One row per cause.",
)
api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("secret_hash", String(64), nullable=False),
    Column("scopes", Text, nullable=False, comment="Separated by blanks."),
    Column("per_minute", Integer, nullable=False),
    Column("created_at", DateTime, nullable=False),
    Column("revoked_at", DateTime),
    comment="Keys of the query API; only a hash of each secret.",
)
service_minutes = Table(
    "service_minutes",
    metadata,
    Column("minute", DateTime, primary_key=True),
    Column("instance", Text, primary_key=True),
    Column("requests", Integer, nullable=False),
    Column("errors", Integer, nullable=False),
    Column("buckets", Text, nullable=False, comment="JSON: requests by upper bound of their seconds."),
    comment="What the serving service measured of itself.",
)
