"""Who manages whom, salespeople who talk with a lead from their own chat, how far a conversation with a person is read,
and the greetings of 微信客服."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

_TIME, _ENCRYPTED, _HASH = sa.DateTime(timezone=True), sa.LargeBinary, sa.String(64)
_LIVE = sa.text("ended_at IS NULL")
_UNTOLD = sa.text("told_at IS NULL")


def upgrade() -> None:
    op.create_table(
        "lead_talk",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("handoff_id", sa.Integer, sa.ForeignKey("handoff.id"), nullable=False),
        sa.Column("lead_id", sa.Integer, nullable=False),
        sa.Column("person", sa.String, nullable=False),
        sa.Column("principal_id", sa.String, sa.ForeignKey("principal.id"), nullable=False),
        sa.Column("sender", _ENCRYPTED, nullable=False),
        sa.Column("sender_index", _HASH, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("heard_at", _TIME, nullable=False),
        sa.Column("ended_at", _TIME),
        sa.Column("ending", sa.String(32)),
        sa.Column("told_at", _TIME),
        sa.UniqueConstraint("handoff_id", name="uq_lead_talk_handoff_id"),
    )
    op.create_index(
        "uq_lead_talk_live", "lead_talk", ["sender_index"], unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE
    )
    op.create_index("ix_lead_talk_untold", "lead_talk", ["id"], sqlite_where=_UNTOLD, postgresql_where=_UNTOLD)
    op.create_table(
        "wechat_kf_welcome",
        sa.Column("person", _HASH, primary_key=True),
        sa.Column("code", _ENCRYPTED, nullable=False),
        sa.Column("until", _TIME, nullable=False),
    )
    op.add_column("principal", sa.Column("manager_id", sa.String))
    op.create_index("ix_principal_manager_id", "principal", ["manager_id"])
    op.add_column("handoff", sa.Column("in_chat", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("handoff", sa.Column("read_by_customer", sa.Integer))
    op.add_column("handoff", sa.Column("read_by_person", sa.Integer))


def downgrade() -> None:
    """Whoever talked from their own chat talks at the desk."""
    for column in ("read_by_person", "read_by_customer", "in_chat"):
        op.drop_column("handoff", column)
    op.drop_index("ix_principal_manager_id", "principal")
    op.drop_column("principal", "manager_id")
    op.drop_table("wechat_kf_welcome")
    op.drop_table("lead_talk")
