"""The ledger's tables. Instants are UTC without a zone attached; customers stand there by key only."""

from typing import Final

from sqlalchemy import Boolean, Column, Date, DateTime, Float, Index, Integer, MetaData, String, Table, Text

SCHEMA_VERSION: Final = 1

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
    Index("sends_of_customer", "customer_id", "subject_id"),
    Index("sends_waiting", "program", "state", "slot_at"),
    comment="One row per recipient, channel and slot.",
)
send_states = Table(
    "send_states",
    metadata,
    # No state can be entered twice, so the key also guards against a second claim.
    Column("send_id", String(32), primary_key=True),
    Column("state", Text, primary_key=True),
    Column("at", DateTime, nullable=False, index=True),
    Column("reason", Text),
    comment="One row per change of a send's state. Only ever added to.",
)
opt_outs = Table(
    "opt_outs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("customer_id", Text, nullable=False),
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
