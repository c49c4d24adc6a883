"""Leases, responses, interactions, outbox, suppressions, and what operators do."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_LIFE = ["planned", "claimed", "handed_over", "in_doubt", "held_out", "skipped", "failed", "sent"]


def upgrade() -> None:
    """From schema version 1 to 2; the log of states is carried over, numbered in the order of a send's life."""
    place = " ".join(f"WHEN '{state}' THEN {at}" for at, state in enumerate(_LIFE))
    op.execute("ALTER TABLE send_states RENAME TO send_states_1")
    op.execute("DROP INDEX ix_send_states_at")
    op.create_table(
        "send_states",
        sa.Column("send_id", sa.String(32), nullable=False),
        sa.Column("step", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("reason", sa.Text),
        sa.PrimaryKeyConstraint(
            "send_id", "step", name=None if op.get_bind().dialect.name == "sqlite" else "states_pkey"
        ),
    )
    op.execute(
        "INSERT INTO send_states (send_id, step, state, at, reason) SELECT send_id,"  # noqa: S608 – our own words
        f" row_number() OVER (PARTITION BY send_id ORDER BY at, CASE state {place} END) - 1, state, at, reason"
        " FROM send_states_1"
    )
    op.drop_table("send_states_1")
    op.create_index("ix_send_states_at", "send_states", ["at"])
    handed = sa.text("state = 'handed_over'")
    op.create_index(
        "handed_over_once", "send_states", ["send_id"], unique=True, sqlite_where=handed, postgresql_where=handed
    )
    for column in (
        sa.Column("step", sa.Integer, nullable=False, server_default="0"),
        sa.Column("lease_until", sa.DateTime),
        sa.Column("priority", sa.Integer, nullable=False, server_default="100"),
        sa.Column("marketplace", sa.Text, nullable=False, server_default=""),
        sa.Column("subject_type", sa.Text, nullable=False, server_default="product"),
        sa.Column("subject_name", sa.Text),
        sa.Column("locale", sa.Text),
    ):
        op.add_column("sends", column)
    op.execute(
        "UPDATE sends SET step = (SELECT max(step) FROM send_states WHERE send_states.send_id = sends.send_id),"
        # campaigns of version 1 are called program:channel:partition:marketplace
        " marketplace = substr(campaign_id, length(program) + length(channel) + 14),"
        # their owners are gone: a lease that is over frees what they claimed, and puts in doubt what they handed over
        " lease_until = CASE WHEN state IN ('claimed', 'handed_over') THEN updated_at END"
    )
    op.create_index("ix_opt_outs_customer_id", "opt_outs", ["customer_id"])
    op.create_table(
        "plans",
        sa.Column("campaign_id", sa.Text, primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
    )
    op.create_table(
        "interactions",
        sa.Column("event_id", sa.Text, primary_key=True),
        sa.Column("send_id", sa.String(32), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("received_at", sa.DateTime, nullable=False),
        sa.Column("machine_rule", sa.Text),
        sa.Column("is_permanent", sa.Boolean),
        sa.Column("source", sa.Text, nullable=False),
    )
    op.create_index("interactions_of_kind", "interactions", ["kind", "send_id"])
    op.create_index("ix_interactions_received_at", "interactions", ["received_at"])
    op.create_table(
        "responses",
        sa.Column("response_id", sa.String(32), primary_key=True),
        sa.Column("program", sa.Text, nullable=False),
        sa.Column("customer_id", sa.Text, nullable=False),
        sa.Column("marketplace", sa.Text, nullable=False),
        sa.Column("subject_type", sa.Text, nullable=False),
        sa.Column("subject_id", sa.Text, nullable=False),
        sa.Column("send_id", sa.String(32)),
        sa.Column("rating", sa.Integer, nullable=False),
        sa.Column("body", sa.Text),
        sa.Column("photos", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("received_at", sa.DateTime, nullable=False),
    )
    op.create_index("ix_responses_customer_id", "responses", ["customer_id"])
    op.create_index("ix_responses_received_at", "responses", ["received_at"])
    op.create_table(
        "ratings",
        sa.Column("subject_type", sa.Text, primary_key=True),
        sa.Column("subject_id", sa.Text, primary_key=True),
        sa.Column("answers", sa.Integer, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
    )
    op.create_table(
        "outbox",
        sa.Column("entry_id", sa.Integer, primary_key=True),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("done_at", sa.DateTime),
    )
    waiting = sa.text("done_at IS NULL")
    op.create_index("outbox_waiting", "outbox", ["topic", "entry_id"], sqlite_where=waiting, postgresql_where=waiting)
    op.create_table(
        "suppressions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("customer_id", sa.Text),
        sa.Column("address_hash", sa.String(64)),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.UniqueConstraint("customer_id", "reason"),
        sa.UniqueConstraint("address_hash", "reason"),
    )
    op.create_index("ix_suppressions_customer_id", "suppressions", ["customer_id"])
    op.create_index("ix_suppressions_address_hash", "suppressions", ["address_hash"])
    op.create_table(
        "stops",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("lifted_at", sa.DateTime),
    )
    op.create_index("ix_stops_target", "stops", ["target"])
    op.create_table(
        "approvals",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("campaign_id", sa.Text, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("members", sa.LargeBinary, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
    )
    op.create_index("ix_approvals_campaign_id", "approvals", ["campaign_id"])
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("act", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("details", sa.Text, nullable=False),
    )
    op.create_index("ix_audit_at", "audit", ["at"])
    op.create_table(
        "alerts",
        sa.Column("cause", sa.Text, primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("told_at", sa.DateTime),
    )
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("secret_hash", sa.String(64), nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("per_minute", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("revoked_at", sa.DateTime),
    )
    op.create_table(
        "service_minutes",
        sa.Column("minute", sa.DateTime, primary_key=True),
        sa.Column("instance", sa.Text, primary_key=True),
        sa.Column("requests", sa.Integer, nullable=False),
        sa.Column("errors", sa.Integer, nullable=False),
        sa.Column("buckets", sa.Text, nullable=False),
    )
    op.execute("UPDATE gate SET schema_version = 2")
