"""What people who registered eat, and how long they stayed."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """From schema version 5 to 6."""
    op.create_table(
        "dietary_preferences",
        sa.Column("registration_id", sa.String(32), primary_key=True),
        sa.Column("program", sa.Text, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.Column("erase_at", sa.DateTime, nullable=False),
        sa.Column("kept_at", sa.DateTime, nullable=False),
    )
    op.create_index("ix_dietary_preferences_event_id", "dietary_preferences", ["event_id"])
    op.add_column("registrations", sa.Column("watch_minutes", sa.Float))
    op.add_column("registration_changes", sa.Column("watch_minutes", sa.Float))
    op.execute("UPDATE gate SET schema_version = 6")
