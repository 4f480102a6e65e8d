"""How long each run only waited for its compute."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("collected_runs") as table:
        table.add_column(sa.Column("setup_seconds", sa.Float(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("collected_runs") as table:
        table.drop_column("setup_seconds")
