"""A store belongs to one workspace; marks keep where a name came from; sources say when the next attempt is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "store_workspace",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("workspace_id", sa.String(length=300), nullable=False),
        sa.Column("host", sa.String(length=300), nullable=False),
        sa.Column("local", sa.Boolean(), nullable=False),
        sa.Column("bound_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_store_workspace")),
    )
    with op.batch_alter_table("checklist_marks") as table:
        table.add_column(sa.Column("source", sa.String(length=20), nullable=False, server_default=""))
    with op.batch_alter_table("collected_sources") as table:
        table.add_column(sa.Column("next_attempt", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("collected_sources") as table:
        table.drop_column("next_attempt")
    with op.batch_alter_table("checklist_marks") as table:
        table.drop_column("source")
    op.drop_table("store_workspace")
