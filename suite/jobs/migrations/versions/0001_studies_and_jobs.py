"""Studies, the jobs that read them, and the stages of each attempt."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "study",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("content_sha256", sa.String(64), nullable=False, unique=True),
        sa.Column("frontal_file", sa.String(64)),
        sa.Column("lateral_file", sa.String(64)),
        sa.Column("frontal_name", sa.String(255)),
        sa.Column("lateral_name", sa.String(255)),
        sa.Column("paired_by_hand", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
    )
    op.create_index("ix_study_created_at", "study", ["created_at"])
    op.create_table(
        "job",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("study_id", sa.String(128), sa.ForeignKey("study.id", ondelete="CASCADE"), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("override_gate", sa.Boolean(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("enqueued_at", sa.Double(), nullable=False),
        sa.Column("started_at", sa.Double()),
        sa.Column("finished_at", sa.Double()),
        sa.Column("lease_owner", sa.String(255)),
        sa.Column("lease_expires_at", sa.Double()),
        sa.Column("error", sa.String(2000)),
        sa.Column("reading", sa.String(128)),
        sa.Column("summary", sa.JSON()),
        sa.CheckConstraint("state IN ('queued', 'running', 'done', 'failed')", name="job_state_known"),
    )
    op.create_index("ix_job_study_id", "job", ["study_id"])
    op.create_index("job_state_enqueued", "job", ["state", "enqueued_at"])
    op.create_table(
        "stage_run",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("job_id", sa.String(32), sa.ForeignKey("job.id", ondelete="CASCADE"), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("stage", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("finished_at", sa.Double()),
        sa.UniqueConstraint("job_id", "attempt", "stage", name="stage_run_once"),
    )
    op.create_index("ix_stage_run_job_id", "stage_run", ["job_id"])


def downgrade() -> None:
    op.drop_table("stage_run")
    op.drop_table("job")
    op.drop_table("study")
