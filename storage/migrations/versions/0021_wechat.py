"""All processes know together the WeChat account's token and limits, and how much whom may be sent."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_TIME, _ENCRYPTED, _HASH = sa.DateTime(timezone=True), sa.LargeBinary, sa.String(64)


def upgrade() -> None:
    op.create_table(
        "wechat_access_token",
        sa.Column("app", _HASH, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("token", _ENCRYPTED),
        sa.Column("expires_at", _TIME),
        sa.Column("forced_at", _TIME),
        sa.Column("lease_until", _TIME),
    )
    op.create_table(
        "wechat_refusal",
        sa.Column("app", _HASH, primary_key=True),
        sa.Column("call", sa.String, primary_key=True),
        sa.Column("until", _TIME, nullable=False),
    )
    op.create_table(
        "wechat_grant",
        sa.Column("person", _HASH, primary_key=True),
        sa.Column("kind", sa.String, primary_key=True),
        sa.Column("since", _TIME, nullable=False),
        sa.Column("until", _TIME, nullable=False),
        sa.Column("left", sa.Integer, nullable=False),
    )
    op.create_table(
        "wechat_nudge",
        sa.Column("person", _HASH, primary_key=True),
        sa.Column("at", _TIME, nullable=False),
    )


def downgrade() -> None:
    for name in ("wechat_nudge", "wechat_grant", "wechat_refusal", "wechat_access_token"):
        op.drop_table(name)
