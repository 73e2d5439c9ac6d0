"""The service desk: hand-offs, what goes back to customers, and the trainers' queue."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_HASH = sa.String(64)
_ENCRYPTED = sa.LargeBinary
_LIVE = sa.text("status IN ('waiting', 'claimed')")
_WAITING = sa.text("messages IS NULL")
_OPEN = sa.text("settled_at IS NULL")


def upgrade() -> None:
    op.create_table(
        "handoff",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("sender", _ENCRYPTED, nullable=False),
        sa.Column("sender_index", _HASH, nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("requested_at", _TIME, nullable=False),
        sa.Column("operator", _ENCRYPTED),
        sa.Column("claimed_at", _TIME),
        sa.Column("first_answer_at", _TIME),
        sa.Column("ended_at", _TIME),
        sa.Column("resolved", sa.Boolean),
        sa.Column("stars", sa.Integer),
        sa.CheckConstraint("stars BETWEEN 1 AND 5", name="stars"),
    )
    op.create_index(
        "uq_handoff_live", "handoff", ["sender_index"], unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE
    )
    op.create_index(None, "handoff", ["sender_index", "id"])
    op.create_index(None, "handoff", ["status", "id"])
    op.create_table(
        "outbox",
        sa.Column("sender_index", _HASH, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("handoff_id", sa.Integer, sa.ForeignKey("handoff.id"), nullable=False),
        sa.Column("message_index", _HASH, nullable=False),
        sa.Column("message_id", _ENCRYPTED, nullable=False),
        sa.Column("event", sa.String(32), nullable=False),
        sa.Column("text", _ENCRYPTED, nullable=False),
        sa.Column("written_at", _TIME, nullable=False),
        sa.Column("messages", _ENCRYPTED),
    )
    op.create_index("uq_outbox_message", "outbox", ["sender_index", "message_index"], unique=True)
    op.create_index(
        "ix_outbox_waiting",
        "outbox",
        ["sender_index", "position"],
        sqlite_where=_WAITING,
        postgresql_where=_WAITING,
    )
    op.create_index(None, "outbox", ["handoff_id", "position"])
    op.create_table(
        "misunderstood",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("message_index", _HASH, nullable=False, unique=True),
        sa.Column("text", _ENCRYPTED, nullable=False),
        sa.Column("guesses", _ENCRYPTED, nullable=False),
        sa.Column("noted_at", _TIME, nullable=False),
        sa.Column("settled_at", _TIME),
        sa.Column("intent", _ENCRYPTED),
    )
    op.create_index("ix_misunderstood_open", "misunderstood", ["id"], sqlite_where=_OPEN, postgresql_where=_OPEN)


def downgrade() -> None:
    op.drop_table("misunderstood")
    op.drop_table("outbox")
    op.drop_table("handoff")
