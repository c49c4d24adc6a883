"""How often a banner was displayed on its customer's day."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """From schema version 7 to 8."""
    op.create_table(
        "banner_displays",
        sa.Column("send_id", sa.String(32), primary_key=True),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("displays", sa.Integer, nullable=False),
    )
    op.execute("UPDATE gate SET schema_version = 8")
