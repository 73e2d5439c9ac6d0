"""Answers of keyed commands are kept, and for a while only; what happens is kept as events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    # keys of the last release belong to nobody and have no answer: who repeats one now is told so
    with op.batch_alter_table("idempotency_record") as batch:
        batch.add_column(sa.Column("answer", sa.LargeBinary))
        batch.add_column(sa.Column("expires_at", _TIME, nullable=False, server_default=sa.func.now()))
        batch.drop_column("result_id")
    op.create_index("ix_idempotency_record_expires_at", "idempotency_record", ["expires_at"])
    op.create_table(
        "event",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("principal_id", sa.String),
        sa.Column("channel", sa.String),
        sa.Column("region", sa.String),
        sa.Column("data", sa.JSON, nullable=False),
    )
    op.create_index("ix_event_kind_at", "event", ["kind", "at"])
    op.create_index("ix_event_subject_id", "event", ["subject", "id"])


def downgrade() -> None:
    op.drop_table("event")
    op.execute("DELETE FROM idempotency_record")
    op.drop_index("ix_idempotency_record_expires_at", "idempotency_record")
    with op.batch_alter_table("idempotency_record") as batch:
        batch.add_column(sa.Column("result_id", sa.String, nullable=False, server_default=""))
        batch.drop_column("answer")
        batch.drop_column("expires_at")
