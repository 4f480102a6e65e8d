"""Runs keep their repairs, tasks their tries: the attempts of a run, and the tries of a task before its newest."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("collected_runs") as table:
        table.add_column(sa.Column("repairs", sa.Integer(), nullable=False, server_default="0"))
        table.add_column(sa.Column("first_result", sa.String(length=40), nullable=True))
        table.add_column(sa.Column("attempt_seconds", sa.Float(), nullable=True))
        table.add_column(sa.Column("tries_read", sa.Integer(), nullable=False, server_default="0"))
    with op.batch_alter_table("collected_tasks") as table:
        table.add_column(sa.Column("tries", sa.Integer(), nullable=False, server_default="1"))
        table.create_index("ix_collected_tasks_tries", ["tries"], unique=False)
    op.create_table(
        "collected_attempts",
        sa.Column("run_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("repair_id", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(length=40), nullable=True),
        sa.Column("start", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("run_id", "number", name=op.f("pk_collected_attempts")),
    )
    op.create_table(
        "collected_tries",
        sa.Column("task_run_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("task_key", sa.String(length=200), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("start", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("pipeline_id", sa.String(length=80), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("task_run_id", name=op.f("pk_collected_tries")),
    )
    with op.batch_alter_table("collected_tries") as table:
        table.create_index("ix_collected_tries_run", ["run_id"], unique=False)
        table.create_index("ix_collected_tries_pipeline", ["pipeline_id", "start"], unique=False)


def downgrade() -> None:
    op.drop_table("collected_tries")
    op.drop_table("collected_attempts")
    with op.batch_alter_table("collected_tasks") as table:
        table.drop_index("ix_collected_tasks_tries")
        table.drop_column("tries")
    with op.batch_alter_table("collected_runs") as table:
        table.drop_column("tries_read")
        table.drop_column("attempt_seconds")
        table.drop_column("first_result")
        table.drop_column("repairs")
