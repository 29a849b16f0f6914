"""Runs the migrations on the connection that the store gives."""

from alembic import context

from remediator.clearinghouse.store.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
