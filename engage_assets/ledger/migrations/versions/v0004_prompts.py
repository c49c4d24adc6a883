"""Questions asked on demand."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """From schema version 3 to 4."""
    op.create_table(
        "prompts",
        sa.Column("send_id", sa.String(32), primary_key=True),
        sa.Column("program", sa.Text, nullable=False),
        sa.Column("customer_id", sa.Text, nullable=False),
        sa.Column("session", sa.String(32), nullable=False),
        sa.Column("issued_at", sa.DateTime, nullable=False),
        sa.Column("expires_at", sa.DateTime, nullable=False),
        sa.Column("answered_at", sa.DateTime),
        sa.Column("answer", sa.Boolean),
    )
    op.create_index("ix_prompts_session", "prompts", ["session"], unique=True)
    op.execute("UPDATE gate SET schema_version = 4")
