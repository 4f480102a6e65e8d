"""Progress is recorded: since when an item is met, its changes, accepted deviations, and what a sign-off rests on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "progress_items",
        sa.Column("key", sa.String(length=220), nullable=False),
        sa.Column("rule", sa.String(length=64), nullable=False),
        sa.Column("first_met", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_met", sa.DateTime(timezone=True), nullable=False),
        sa.Column("regressed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("met_again", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("evidence_ids", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_progress_items")),
    )
    op.create_table(
        "progress_transitions",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("key", sa.String(length=220), nullable=False),
        sa.Column("change", sa.String(length=20), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("evidence_ids", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_progress_transitions")),
    )
    op.create_index("ix_progress_transitions_key", "progress_transitions", ["key", "id"])
    op.create_index("ix_progress_transitions_at", "progress_transitions", ["at"])
    op.create_table(
        "checklist_deviations",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("rule", sa.String(length=64), nullable=False),
        sa.Column("accepted", sa.Boolean(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("seen", sa.Text(), nullable=False),
        sa.Column("by", sa.String(length=320), nullable=False),
        sa.Column("local", sa.Boolean(), nullable=False),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_checklist_deviations")),
    )
    op.create_index("ix_checklist_deviations_key", "checklist_deviations", ["key", "id"])
    with op.batch_alter_table("checklist_marks") as table:
        table.add_column(sa.Column("link", sa.Text(), nullable=False, server_default=""))
        table.add_column(sa.Column("evidence", sa.JSON(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("checklist_marks") as table:
        table.drop_column("evidence")
        table.drop_column("link")
    op.drop_table("checklist_deviations")
    op.drop_table("progress_transitions")
    op.drop_table("progress_items")
