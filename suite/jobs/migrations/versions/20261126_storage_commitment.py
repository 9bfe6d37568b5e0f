"""What nodes were asked to commit themselves to, and when they did."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "20261126_storage_commitment"
down_revision = "20261126_reading_room"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("outgoing") as outgoing:
        outgoing.add_column(sa.Column("transaction_uid", sa.String(64), nullable=True))
        outgoing.add_column(sa.Column("committed_at", sa.Double(), nullable=True))
        outgoing.create_index("ix_outgoing_transaction_uid", ["transaction_uid"])


def downgrade() -> None:
    with op.batch_alter_table("outgoing") as outgoing:
        outgoing.drop_index("ix_outgoing_transaction_uid")
        outgoing.drop_column("committed_at")
        outgoing.drop_column("transaction_uid")
