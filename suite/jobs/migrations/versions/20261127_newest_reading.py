"""The newest reading of a study is found by one index, instead of by all readings of one state."""

from __future__ import annotations

from alembic import op

revision = "20261127_newest_reading"
down_revision = "20261127_provider_accounts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("job_study_state_created", "job", ["study_id", "state", "created_at"])
    op.drop_index("ix_job_study_id", "job")  # the new one begins with the same column


def downgrade() -> None:
    op.create_index("ix_job_study_id", "job", ["study_id"])
    op.drop_index("job_study_state_created", "job")
