"""WeCom's customer service as a second way of WeChat, consents to notices, albums of Telegram, and how long is kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_TIME, _ENCRYPTED, _HASH = sa.DateTime(timezone=True), sa.LargeBinary, sa.String(64)
_AGES = (("inbox", "created_at"), ("outbox", "created_at"), ("media", "received_at"))


def upgrade() -> None:
    op.create_table(
        "wechat_kf_account",
        sa.Column("open_kfid", sa.String, primary_key=True),
        sa.Column("since", _TIME, nullable=False),
        sa.Column("cursor", sa.String),
        sa.Column("bells", sa.Integer, nullable=False),
        sa.Column("token", _ENCRYPTED),
        sa.Column("bells_read", sa.Integer, nullable=False),
        sa.Column("read_at", _TIME),
    )
    op.create_table(
        "wechat_consent",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("person", _HASH, nullable=False),
        sa.Column("template", sa.String, nullable=False),
        sa.Column("given_at", _TIME, nullable=False),
        sa.Column("used_at", _TIME),
        sa.UniqueConstraint("person", "template", "given_at", name="uq_wechat_consent_person_template_given_at"),
    )
    op.create_table(
        "telegram_album_piece",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("album", _HASH, nullable=False),
        sa.Column("name", _HASH, nullable=False),
        sa.Column("content", _ENCRYPTED),
        sa.Column("came_at", _TIME, nullable=False),
        sa.Column("batch", sa.String),
        sa.Column("lease_until", _TIME),
        sa.UniqueConstraint("name", name="uq_telegram_album_piece_name"),
    )
    op.create_index("ix_telegram_album_piece_album", "telegram_album_piece", ["album"])
    for table, column in _AGES:
        op.create_index(f"ix_{table}_{column}", table, [column])


def downgrade() -> None:
    for table, column in _AGES:
        op.drop_index(f"ix_{table}_{column}", table)
    for name in ("telegram_album_piece", "wechat_consent", "wechat_kf_account"):
        op.drop_table(name)
