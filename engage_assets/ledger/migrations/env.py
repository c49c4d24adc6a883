"""How Alembic reaches the database: through the connection of whoever asks."""

from alembic import context

from engage_assets.ledger.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=False,
)
context.run_migrations()
