"""Each comparison keeps the secret of its hashes, so that an operator may reveal a row."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("parity_runs") as table:
        table.add_column(sa.Column("hash_key", sa.String(length=64), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("parity_runs") as table:
        table.drop_column("hash_key")
