"""The maintenance that a billing record names."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("collected_usage") as table:
        table.add_column(sa.Column("maintenance_id", sa.String(length=80), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("collected_usage") as table:
        table.drop_column("maintenance_id")
