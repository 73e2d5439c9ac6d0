"""Programs that may call the mall's API."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "api_client",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("key_hash", sa.String, nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("supplier_id", sa.String, sa.ForeignKey("supplier.id")),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("revoked_at", _TIME),
        sa.Column("last_used_at", _TIME),
        sa.UniqueConstraint("name"),
    )
    op.create_index("ix_api_client_supplier_id", "api_client", ["supplier_id"])


def downgrade() -> None:
    op.drop_table("api_client")
