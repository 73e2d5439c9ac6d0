"""A message to many may bring each of them a coupon."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("broadcast", sa.Column("coupon", sa.JSON))


def downgrade() -> None:
    op.drop_column("broadcast", "coupon")
