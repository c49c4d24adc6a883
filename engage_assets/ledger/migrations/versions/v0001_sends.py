"""Sends and their states, opt-outs, batches."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of schema version 1."""
    op.create_table(
        "gate",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("schema_version", sa.Integer, nullable=False),
    )
    op.create_table("cuts", sa.Column("until", sa.DateTime, primary_key=True))
    op.create_table(
        "sends",
        sa.Column("send_id", sa.String(32), primary_key=True),
        sa.Column("program", sa.Text, nullable=False),
        sa.Column("campaign_id", sa.Text, nullable=False),
        sa.Column("customer_id", sa.Text, nullable=False),
        sa.Column("subject_id", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("slot_at", sa.DateTime, nullable=False),
        sa.Column("cap_scope", sa.Text, nullable=False),
        sa.Column("is_solicitation", sa.Boolean, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("planned_at", sa.DateTime, nullable=False),
        sa.Column("updated_at", sa.DateTime, nullable=False),
    )
    op.create_index("ix_sends_campaign_id", "sends", ["campaign_id"])
    op.create_index("sends_of_customer", "sends", ["customer_id", "subject_id"])
    op.create_index("sends_waiting", "sends", ["program", "state", "slot_at"])
    op.create_table(
        "send_states",
        sa.Column("send_id", sa.String(32), primary_key=True),
        sa.Column("state", sa.Text, primary_key=True),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("reason", sa.Text),
    )
    op.create_index("ix_send_states_at", "send_states", ["at"])
    op.create_table(
        "opt_outs",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("customer_id", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("program", sa.Text),
        sa.Column("channel", sa.Text),
        sa.Column("revoked_at", sa.DateTime),
    )
    op.create_index("ix_opt_outs_at", "opt_outs", ["at"])
    op.create_table(
        "batches",
        sa.Column("program", sa.Text, primary_key=True),
        sa.Column("partition_date", sa.Date, primary_key=True),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("records", sa.Integer, nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
    )
    op.execute("INSERT INTO gate (id, schema_version) VALUES (1, 1)")
