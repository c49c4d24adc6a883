"""Answers of any form, version by version; makers of what is asked about."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_KEPT = (
    "response_id, program, customer_id, marketplace, subject_type, subject_id, send_id, rating, body, photos, at,"
    " received_at"
)


def upgrade() -> None:
    """From schema version 2 to 3: what was answered is version 1, through the channel of its send."""
    op.execute("ALTER TABLE responses RENAME TO responses_2")
    op.execute("DROP INDEX ix_responses_customer_id")
    op.execute("DROP INDEX ix_responses_received_at")
    op.create_table(
        "responses",
        sa.Column("response_id", sa.String(32), nullable=False),
        sa.Column("version", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("program", sa.Text, nullable=False),
        sa.Column("customer_id", sa.Text, nullable=False),
        sa.Column("marketplace", sa.Text, nullable=False),
        sa.Column("subject_type", sa.Text, nullable=False),
        sa.Column("subject_id", sa.Text, nullable=False),
        sa.Column("send_id", sa.String(32)),
        sa.Column("channel", sa.Text),
        sa.Column("rating", sa.Integer),
        sa.Column("is_positive", sa.Boolean),
        sa.Column("tags", sa.Text, nullable=False, server_default="[]"),
        sa.Column("has_text", sa.Boolean, nullable=False),
        sa.Column("body", sa.Text),
        sa.Column("photos", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("changed_at", sa.DateTime, nullable=False),
        sa.Column("received_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint(
            "response_id", "version", name=None if op.get_bind().dialect.name == "sqlite" else "versions_pkey"
        ),
    )
    op.execute(
        f"INSERT INTO responses ({_KEPT}, version, has_text, changed_at, channel)"  # noqa: S608 – our own words
        f" SELECT {_KEPT}, 1, body IS NOT NULL, at,"
        " (SELECT channel FROM sends WHERE sends.send_id = responses_2.send_id) FROM responses_2"
    )
    op.drop_table("responses_2")
    op.create_index("ix_responses_customer_id", "responses", ["customer_id"])
    op.create_index("ix_responses_received_at", "responses", ["received_at"])
    op.add_column("sends", sa.Column("subject_maker", sa.Text))
    op.execute("UPDATE gate SET schema_version = 3")
