"""Films, stage results, reviews, users, nodes, audit trail; jobs that are cancelled, set aside or train."""

import sqlalchemy as sa
from alembic import op
from alembic.operations.base import BatchOperations

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STATES = {
    "0001": "state IN ('queued', 'running', 'done', 'failed')",
    "0002": "state IN ('queued', 'running', 'done', 'failed', 'cancelled', 'dead')",
}


def upgrade() -> None:
    _jobs()
    _films()
    _results()
    _access()
    _network()
    _workers()


def _jobs() -> None:
    with op.batch_alter_table("job") as job:
        _drop_checks(job, "job_state_known")
        job.alter_column("study_id", existing_type=sa.String(128), nullable=True)
        job.add_column(sa.Column("kind", sa.String(16), nullable=False, server_default="reading"))
        job.add_column(sa.Column("queue", sa.String(16), nullable=False, server_default="cpu"))
        job.add_column(sa.Column("priority", sa.Double(), nullable=False, server_default="0"))
        job.add_column(sa.Column("priority_reason", sa.String(500)))
        job.add_column(sa.Column("request", sa.JSON()))
        job.add_column(sa.Column("cancel_requested", sa.Boolean(), nullable=False, server_default=sa.false()))
        job.add_column(sa.Column("device_fallback", sa.String(500)))
        job.add_column(sa.Column("progress", sa.JSON()))
        job.create_check_constraint("job_state_known", STATES["0002"])
        job.create_check_constraint("job_kind_known", "kind IN ('reading', 'training', 'ablation')")
        job.create_check_constraint("job_reading_has_study", "kind <> 'reading' OR study_id IS NOT NULL")
        job.create_index("job_priority_created", ["priority", "created_at"])
        job.create_index("ix_job_created_at", ["created_at"])


def _drop_checks(job: BatchOperations, *names: str) -> None:
    """SQLite copies the table; whether checks come along depends on SQLAlchemy's version."""
    bind = op.get_bind()
    copied = {check.name for check in sa.Table("job", sa.MetaData(), autoload_with=bind).constraints}
    for name in names:
        if bind.dialect.name != "sqlite" or name in copied:
            job.drop_constraint(name, type_="check")


def _films() -> None:
    op.create_table(
        "view",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("study_id", sa.String(128), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("file", sa.String(64), nullable=False),
        sa.Column("sop_instance_uid", sa.String(64)),
        sa.Column("series_instance_uid", sa.String(64)),
        sa.Column("study_instance_uid", sa.String(64)),
        sa.Column("projection", sa.String(16)),
        sa.Column("rows", sa.Integer()),
        sa.Column("columns", sa.Integer()),
        sa.CheckConstraint("role IN ('frontal', 'lateral')", name="view_role_known"),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], ondelete="CASCADE"),
        sa.UniqueConstraint("study_id", "role", name="view_once"),
    )
    op.create_index("ix_view_sop_instance_uid", "view", ["sop_instance_uid"])
    op.create_index("ix_view_study_instance_uid", "view", ["study_instance_uid"])
    op.create_table(
        "instance",
        sa.Column("sop_instance_uid", sa.String(64), primary_key=True),
        sa.Column("study_instance_uid", sa.String(64), nullable=False),
        sa.Column("series_instance_uid", sa.String(64), nullable=False),
        sa.Column("sop_class_uid", sa.String(64), nullable=False),
        sa.Column("transfer_syntax_uid", sa.String(64), nullable=False),
        sa.Column("patient_id_hash", sa.String(64)),
        sa.Column("file", sa.String(255), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.Double(), nullable=False),
        sa.Column("received_from", sa.String(255)),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.Column("study_id", sa.String(128)),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], ondelete="SET NULL"),
    )
    op.create_index("instance_study_series", "instance", ["study_instance_uid", "series_instance_uid"])
    op.create_index("ix_instance_patient_id_hash", "instance", ["patient_id_hash"])
    op.create_index("ix_instance_received_at", "instance", ["received_at"])
    op.create_index("ix_instance_series_instance_uid", "instance", ["series_instance_uid"])
    op.create_index("ix_instance_study_id", "instance", ["study_id"])
    op.create_table(
        "upload",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("owner", sa.String(128), nullable=False),
        sa.Column("filename", sa.String(255), nullable=False),
        sa.Column("size", sa.BigInteger()),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(64)),
        sa.Column("path", sa.String(255), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.CheckConstraint("state IN ('open', 'complete', 'taken', 'abandoned')", name="upload_state_known"),
    )
    op.create_index("ix_upload_expires_at", "upload", ["expires_at"])
    op.create_index("ix_upload_owner", "upload", ["owner"])


def _results() -> None:
    op.create_table(
        "stage_result",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("study_id", sa.String(128), nullable=False),
        sa.Column("stage", sa.String(64), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("weights_sha256", sa.String(64)),
        sa.Column("path", sa.String(255), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("device", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], ondelete="CASCADE"),
        sa.UniqueConstraint("study_id", "stage", "key", name="stage_result_once"),
    )
    op.create_table(
        "stage_offer",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("stage", sa.String(64), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("lease_owner", sa.String(255)),
        sa.Column("lease_expires_at", sa.Double()),
        sa.Column("error", sa.String(2000)),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.CheckConstraint("state IN ('open', 'taken', 'done', 'failed')", name="stage_offer_state_known"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], ondelete="CASCADE"),
        sa.UniqueConstraint("job_id", "attempt", "stage", name="stage_offer_once"),
    )
    op.create_table(
        "artifact",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("study_id", sa.String(128), nullable=False),
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("path", sa.String(255), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.String(128), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], ondelete="CASCADE"),
        sa.UniqueConstraint("job_id", "name", name="artifact_once"),
    )
    op.create_index("ix_artifact_study_id", "artifact", ["study_id"])
    op.create_table(
        "review",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("study_id", sa.String(128), nullable=False),
        sa.Column("job_id", sa.String(32)),
        sa.Column("finding", sa.String(64)),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("text", sa.Text()),
        sa.Column("user_name", sa.String(128), nullable=False),
        sa.Column("model_sha256", sa.String(64)),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("undone_at", sa.Double()),
        sa.CheckConstraint(
            "verdict IN ('accepted', 'rejected', 'added', 'comment')", name="review_verdict_known"
        ),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], ondelete="CASCADE"),
    )
    op.create_index("ix_review_job_id", "review", ["job_id"])
    op.create_index("review_study_created", "review", ["study_id", "created_at"])


def _access() -> None:
    op.create_table(
        "user_account",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("password_hash", sa.String(255)),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("disabled_at", sa.Double()),
        sa.Column("failed_logins", sa.Integer(), nullable=False),
        sa.Column("locked_until", sa.Double()),
        sa.CheckConstraint("role IN ('reader', 'researcher', 'admin')", name="user_role_known"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "token",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double()),
        sa.Column("revoked_at", sa.Double()),
        sa.Column("last_used_at", sa.Double()),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], ondelete="CASCADE"),
        sa.UniqueConstraint("sha256"),
        sa.UniqueConstraint("user_id", "name", name="token_name_once"),
    )
    op.create_table(
        "idempotency_key",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("owner", sa.String(128), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("request_sha256", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("body", sa.Text()),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.UniqueConstraint("owner", "key", name="idempotency_key_once"),
    )
    op.create_index("ix_idempotency_key_created_at", "idempotency_key", ["created_at"])
    op.create_table(
        "audit_event",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("actor", sa.String(128), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(255)),
        sa.Column("detail", sa.JSON()),
        sa.Column("address", sa.String(64)),
    )
    op.create_index("audit_actor_at", "audit_event", ["actor", "at"])
    op.create_index("audit_subject_at", "audit_event", ["subject", "at"])
    op.create_index("ix_audit_event_at", "audit_event", ["at"])


def _network() -> None:
    op.create_table(
        "node",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("ae_title", sa.String(16)),
        sa.Column("host", sa.String(255)),
        sa.Column("port", sa.Integer()),
        sa.Column("url", sa.String(1000)),
        sa.Column("tls", sa.Boolean(), nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.CheckConstraint("kind IN ('dimse', 'stow')", name="node_kind_known"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "outgoing",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("study_id", sa.String(128), nullable=False),
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("node_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.Double(), nullable=False),
        sa.Column("error", sa.String(2000)),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("sent_at", sa.Double()),
        sa.CheckConstraint("state IN ('queued', 'sending', 'sent', 'failed')", name="outgoing_state_known"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["node_id"], ["node.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], ondelete="CASCADE"),
        sa.UniqueConstraint("job_id", "node_id", name="outgoing_once"),
    )
    op.create_index("ix_outgoing_node_id", "outgoing", ["node_id"])
    op.create_index("ix_outgoing_study_id", "outgoing", ["study_id"])
    op.create_index("outgoing_state_next", "outgoing", ["state", "next_attempt_at"])


def _workers() -> None:
    op.create_table(
        "worker",
        sa.Column("identity", sa.String(255), primary_key=True),
        sa.Column("queues", sa.JSON(), nullable=False),
        sa.Column("device", sa.String(16), nullable=False),
        sa.Column("version", sa.String(32), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
    )
    op.create_index("ix_worker_seen_at", "worker", ["seen_at"])


def downgrade() -> None:
    """Back to readings alone; jobs of other kinds go, states unknown there become failed."""
    for table in (
        "worker",
        "outgoing",
        "node",
        "audit_event",
        "idempotency_key",
        "token",
        "user_account",
        "review",
        "artifact",
        "stage_offer",
        "stage_result",
        "upload",
        "instance",
        "view",
    ):
        op.drop_table(table)
    op.execute("DELETE FROM job WHERE study_id IS NULL")
    op.execute("UPDATE job SET state = 'failed' WHERE state IN ('cancelled', 'dead')")
    with op.batch_alter_table("job") as job:
        job.drop_index("ix_job_created_at")
        job.drop_index("job_priority_created")
        _drop_checks(job, "job_reading_has_study", "job_kind_known", "job_state_known")
        for column in (
            "kind",
            "queue",
            "priority",
            "priority_reason",
            "request",
            "cancel_requested",
            "device_fallback",
            "progress",
        ):
            job.drop_column(column)
        job.alter_column("study_id", existing_type=sa.String(128), nullable=False)
        job.create_check_constraint("job_state_known", STATES["0001"])
