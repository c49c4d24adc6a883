"""Notices, answers of surveys, joins and leaves, and where push notifications go."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """From schema version 6 to 7."""
    op.add_column("sends", sa.Column("kind", sa.Text))
    op.add_column("sends", sa.Column("sequence", sa.Integer))
    op.drop_index("sends_of_customer", "sends")
    op.create_index("sends_of_customer", "sends", ["customer_id", "subject_id", "slot_at"])
    op.create_table(
        "survey_answers",
        sa.Column("registration_id", sa.String(32), primary_key=True),
        sa.Column("program", sa.Text, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("customer_id", sa.Text, nullable=False),
        sa.Column("marketplace", sa.Text, nullable=False),
        sa.Column("send_id", sa.String(32)),
        sa.Column("rating", sa.Integer, nullable=False),
        sa.Column("body", sa.Text),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("received_at", sa.DateTime, nullable=False),
    )
    op.create_index("ix_survey_answers_customer_id", "survey_answers", ["customer_id"])
    op.create_index("ix_survey_answers_received_at", "survey_answers", ["received_at"])
    op.create_index("survey_answers_of_event", "survey_answers", ["program", "event_id"])
    op.create_table(
        "attendance_marks",
        sa.Column("program", sa.Text, primary_key=True),
        sa.Column("event_id", sa.Text, primary_key=True),
        sa.Column("customer_id", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("session", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("at", sa.DateTime, primary_key=True),
        sa.Column("received_at", sa.DateTime, nullable=False),
    )
    op.create_index("ix_attendance_marks_customer_id", "attendance_marks", ["customer_id"])
    op.create_table(
        "push_subscriptions",
        sa.Column("subscription_id", sa.String(32), primary_key=True),
        sa.Column("customer_id", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("kept_at", sa.DateTime, nullable=False),
        sa.Column("gone_at", sa.DateTime),
    )
    op.create_index("ix_push_subscriptions_customer_id", "push_subscriptions", ["customer_id"])
    op.execute("UPDATE gate SET schema_version = 7")
