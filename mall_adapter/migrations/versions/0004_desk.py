"""The service desk: hand-offs, what people said, and what the bot did not understand."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_HASH = sa.String(64)
_LIVE = sa.text("status IN ('waiting', 'claimed')")


def upgrade() -> None:
    op.create_table(
        "handoff",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("sender_index", _HASH, nullable=False),
        sa.Column("sender", sa.LargeBinary, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("requested_at", _TIME, nullable=False),
        sa.Column("claimed_at", _TIME),
        sa.Column("first_answer_at", _TIME),
        sa.Column("ended_at", _TIME),
        sa.Column("resolved", sa.Boolean),
        sa.Column("rating", sa.Integer),
        sa.CheckConstraint("rating BETWEEN 1 AND 5", name="rating"),
    )
    op.create_index(
        "uq_handoff_live", "handoff", ["sender_index"], unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE
    )
    op.create_table(
        "desk_message",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("sender_index", _HASH, nullable=False),
        sa.Column("text", sa.LargeBinary, nullable=False),
        sa.Column("key", sa.String, nullable=False, unique=True),
        sa.Column("time", _TIME, nullable=False),
    )
    op.create_index("ix_desk_message_sender_index_id", "desk_message", ["sender_index", "id"])
    op.create_table(
        "misunderstood",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("message_index", _HASH, nullable=False, unique=True),
        sa.Column("sender_index", _HASH, nullable=False),
        sa.Column("text", sa.LargeBinary, nullable=False),
        sa.Column("guesses", sa.JSON, nullable=False),
        sa.Column("time", _TIME, nullable=False),
        sa.Column("settled_at", _TIME),
    )


def downgrade() -> None:
    for table in ("misunderstood", "desk_message", "handoff"):
        op.drop_table(table)
