"""Seats of events, and who has them."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """From schema version 4 to 5."""
    op.create_table(
        "event_seats",
        sa.Column("program", sa.Text, primary_key=True),
        sa.Column("event_id", sa.Text, primary_key=True),
        sa.Column("taken", sa.Integer, nullable=False),
        sa.Column("last_ticket", sa.Integer, nullable=False),
    )
    op.create_table(
        "registrations",
        sa.Column("registration_id", sa.String(32), primary_key=True),
        sa.Column("program", sa.Text, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("customer_id", sa.Text, nullable=False),
        sa.Column("marketplace", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("ticket", sa.Integer),
        sa.Column("registered_at", sa.DateTime, nullable=False),
        sa.Column("changed_at", sa.DateTime, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("channel", sa.Text),
        sa.Column("send_id", sa.String(32)),
    )
    op.create_index("ix_registrations_customer_id", "registrations", ["customer_id"])
    op.create_index("registrations_in_line", "registrations", ["program", "event_id", "status", "ticket"])
    op.create_table(
        "registration_changes",
        sa.Column("registration_id", sa.String(32), primary_key=True),
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("channel", sa.Text),
        sa.Column("send_id", sa.String(32)),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("received_at", sa.DateTime, nullable=False),
    )
    op.create_index("ix_registration_changes_received_at", "registration_changes", ["received_at"])
    op.execute("UPDATE gate SET schema_version = 5")
