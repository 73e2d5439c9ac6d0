"""What people send is written down before it is acknowledged; what cannot go out waits, and can be looked at."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_TIME, _ENCRYPTED, _HASH = sa.DateTime(timezone=True), sa.LargeBinary, sa.String(64)
_OPEN = sa.text("state IN ('pending', 'leased')")
_STUCK = sa.text("state IN ('parked', 'unknown', 'dead')")


def upgrade() -> None:
    op.create_table(
        "inbox",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("channel", sa.String, nullable=False),
        sa.Column("order_key", _HASH, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("not_before", _TIME, nullable=False),
        sa.Column("expires_at", _TIME),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("lease_token", sa.String),
        sa.Column("lease_until", _TIME),
        sa.Column("error_class", sa.String),
        sa.Column("dedupe_key", _HASH, nullable=False),
        sa.Column("payload", _ENCRYPTED),
        sa.UniqueConstraint("dedupe_key", name="uq_inbox_dedupe_key"),
    )
    for name, columns in (("due", ["channel", "not_before"]), ("order", ["order_key", "id"])):
        op.create_index(f"ix_inbox_{name}", "inbox", columns, sqlite_where=_OPEN, postgresql_where=_OPEN)
    for table in ("inbox", "outbox"):
        columns = ["order_key", "id"]
        op.create_index(f"ix_{table}_stuck", table, columns, sqlite_where=_STUCK, postgresql_where=_STUCK)
    op.create_index("ix_outbox_provider_id", "outbox", ["provider_id"])
    op.create_table(
        "choice_list",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("sender_index", _HASH, nullable=False),
        sa.Column("key_index", _HASH, nullable=False),
        sa.Column("payloads", _ENCRYPTED, nullable=False),
        sa.Column("current", sa.Boolean, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.UniqueConstraint("key_index", name="uq_choice_list_key_index"),
    )
    op.create_index("ix_choice_list_sender_index_id", "choice_list", ["sender_index", "id"])
    op.create_index("ix_choice_list_expires_at", "choice_list", ["expires_at"])
    op.create_table(
        "media",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("conversation", _HASH, nullable=False),
        sa.Column("origin_index", _HASH, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("about", _ENCRYPTED, nullable=False),
        sa.Column("file", sa.String),
        sa.Column("received_at", _TIME, nullable=False),
        sa.UniqueConstraint("origin_index", name="uq_media_origin_index"),
    )
    op.create_index("ix_media_conversation_id", "media", ["conversation", "id"])


def downgrade() -> None:
    op.drop_table("media")
    op.drop_table("choice_list")
    op.drop_index("ix_outbox_provider_id", "outbox")
    op.drop_index("ix_outbox_stuck", "outbox")
    op.drop_table("inbox")
