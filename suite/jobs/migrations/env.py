"""Entry point of Alembic: runs the migrations on the connection handed over by ``suite.jobs.database``."""

from alembic import context

from suite.jobs.models import Base

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
