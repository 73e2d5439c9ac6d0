"""Who looked at which conversation, and in which conversation a message was not understood."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "conversation_view",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("conversation", sa.String(64), nullable=False),
        sa.Column("operator", sa.LargeBinary, nullable=False),
        sa.Column("viewed_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index(None, "conversation_view", ["conversation", "id"])
    # unknown for what is there already: a message's index does not tell its sender
    op.add_column("misunderstood", sa.Column("conversation", sa.String(64)))


def downgrade() -> None:
    op.drop_column("misunderstood", "conversation")
    op.drop_table("conversation_view")
