"""The reading room: pseudonyms of studies, who reads what, written reports, one-time links."""

import sqlalchemy as sa
from alembic import op

from suite.jobs.display_ids import new_display_id

revision = "20261126_reading_room"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _pseudonyms()
    _work_items()
    _written_reports()
    _links()


def _pseudonyms() -> None:
    with op.batch_alter_table("study") as study:
        study.add_column(sa.Column("display_id", sa.String(16)))
    table = sa.table("study", sa.column("id", sa.String), sa.column("display_id", sa.String))
    bind = op.get_bind()
    taken: set[str] = set()
    for study_id in list(bind.execute(sa.select(table.c.id)).scalars()):
        drawn = new_display_id()
        while drawn in taken:
            drawn = new_display_id()
        taken.add(drawn)
        bind.execute(sa.update(table).where(table.c.id == study_id).values(display_id=drawn))
    with op.batch_alter_table("study") as study:
        study.alter_column("display_id", existing_type=sa.String(16), nullable=False)
        study.create_unique_constraint("study_display_id_once", ["display_id"])


def _work_items() -> None:
    op.create_table(
        "work_item",
        sa.Column("study_id", sa.String(128), primary_key=True),
        sa.Column("assigned_to", sa.String(128)),
        sa.Column("done_by", sa.String(128)),
        sa.Column("done_at", sa.Double()),
        sa.Column("changed_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], ondelete="CASCADE"),
    )
    op.create_index("ix_work_item_changed_at", "work_item", ["changed_at"])


def _written_reports() -> None:
    op.create_table(
        "written_report",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("study_id", sa.String(128), nullable=False, unique=True),
        sa.Column("job_id", sa.String(32)),
        sa.Column("sections", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("changed_by", sa.String(128), nullable=False),
        sa.Column("changed_at", sa.Double(), nullable=False),
        sa.Column("signed_by", sa.String(128)),
        sa.Column("signed_at", sa.Double()),
        sa.Column("sha256", sa.String(64)),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], ondelete="SET NULL"),
    )
    op.create_table(
        "addendum",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("report_id", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("signed_by", sa.String(128), nullable=False),
        sa.Column("signed_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["report_id"], ["written_report.id"], ondelete="CASCADE"),
    )
    op.create_index("ix_addendum_report_id", "addendum", ["report_id"])


def _links() -> None:
    op.create_table(
        "sign_in_link",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False, unique=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("used_at", sa.Double()),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], ondelete="CASCADE"),
    )


def downgrade() -> None:
    for table in ("sign_in_link", "addendum", "written_report", "work_item"):
        op.drop_table(table)
    with op.batch_alter_table("study") as study:
        study.drop_constraint("study_display_id_once", type_="unique")
        study.drop_column("display_id")
