"""Events are found by type and by dataset; a dataset of an update keeps what it reads."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("collected_events") as table:
        table.create_index("ix_collected_events_type_time", ["event_type", "timestamp"], unique=False)
        table.create_index("ix_collected_events_dataset_time", ["dataset", "timestamp"], unique=False)
    with op.batch_alter_table("collected_flows") as table:
        table.add_column(sa.Column("inputs", sa.JSON(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("collected_flows") as table:
        table.drop_column("inputs")
    with op.batch_alter_table("collected_events") as table:
        table.drop_index("ix_collected_events_dataset_time")
        table.drop_index("ix_collected_events_type_time")
