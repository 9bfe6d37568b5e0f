"""Accounts that an OpenID provider vouches for are known by its issuer and subject.

Those that were made by a provider's word before are left unbound. The audit trail tells by which name
somebody came, never which subject that was, and an account that was taken over by its name has left the same
lines in it as one that a provider made: binding by it would make such a takeover last.
``radsuite users bind`` binds them.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "20261127_provider_accounts"
down_revision = "20261126_storage_commitment"
branch_labels = None
depends_on = None

_COLUMNS = {
    "oidc_issuer": sa.String(255),
    "oidc_subject": sa.String(255),
    "oidc_expected_until": sa.Double(),
}


def upgrade() -> None:
    # one by one and with an index: SQLite does both in place, where a copied table would lose its CHECK
    for name, kind in _COLUMNS.items():
        op.add_column("user_account", sa.Column(name, kind, nullable=True))
    op.create_index("user_oidc_once", "user_account", ["oidc_issuer", "oidc_subject"], unique=True)


def downgrade() -> None:
    op.drop_index("user_oidc_once", "user_account")
    for name in reversed(_COLUMNS):
        op.drop_column("user_account", name)
