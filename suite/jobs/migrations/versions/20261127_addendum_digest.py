"""Addenda have a digest of their own.

Those that were signed before are left without one: a digest made now would vouch for a text that nobody has
kept watch over since its signature.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "20261127_addendum_digest"
down_revision = "20261127_newest_reading"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("addendum", sa.Column("sha256", sa.String(64), nullable=True))


def downgrade() -> None:
    op.drop_column("addendum", "sha256")
