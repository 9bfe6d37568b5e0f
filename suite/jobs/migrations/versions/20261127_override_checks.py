"""A job names the single checks of the gate that it overrides; those asked for before name none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "20261127_override_checks"
down_revision = "20261127_addendum_digest"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # a column alone: SQLite adds it in place, where a copied table would lose its CHECK
    op.add_column("job", sa.Column("override_checks", sa.JSON(), nullable=False, server_default="[]"))


def downgrade() -> None:
    op.drop_column("job", "override_checks")
