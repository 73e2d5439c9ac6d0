"""People, their roles and their channel accounts.

Every customer becomes a principal, and the accounts that were bound to a customer belong to theirs. Only a hash of the
accounts was kept; who wrote from them stands sealed in the conversations, and is read from there.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

from privacy import KeyRing, TamperedError, verify_keyring
from privacy.cipher import seal
from privacy.columns import blind_index, place_of
from privacy.conversations import Row, open_events, open_sender
from privacy.tables import conversation_event

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

BATCH = 500
"""Conversations."""

_TIME = sa.DateTime(timezone=True)
_HASH = sa.String(64)
_NO_SUPPLIER = sa.text("supplier_id IS NULL")

log = logging.getLogger(__name__)


def upgrade() -> None:
    op.create_table(
        "principal",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("name", sa.LargeBinary),
        sa.Column("name_index", _HASH, unique=True),
        sa.Column("customer_id", sa.String, sa.ForeignKey("customer.id"), unique=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("demo", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    op.create_table(
        "membership",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("principal_id", sa.String, sa.ForeignKey("principal.id"), nullable=False),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("supplier_id", sa.String, sa.ForeignKey("supplier.id")),
        sa.Column("granted_at", _TIME, nullable=False),
        sa.Column("granted_by", sa.String),
        sa.CheckConstraint("(role = 'supplier') = (supplier_id IS NOT NULL)", name="supplier"),
    )
    op.create_index("uq_membership_supplier", "membership", ["principal_id", "role", "supplier_id"], unique=True)
    op.create_index(
        "uq_membership_role",
        "membership",
        ["principal_id", "role"],
        unique=True,
        sqlite_where=_NO_SUPPLIER,
        postgresql_where=_NO_SUPPLIER,
    )
    op.create_index("ix_membership_supplier_id", "membership", ["supplier_id"])
    op.execute(
        "INSERT INTO principal (id, customer_id, created_at, demo)"
        " SELECT 'P-' || id, id, registered_at, demo FROM customer"
    )
    op.execute(
        "INSERT INTO membership (principal_id, role, granted_at) SELECT id, 'customer', created_at"
        " FROM principal ORDER BY id"
    )

    with op.batch_alter_table("channel_account") as batch:
        batch.add_column(sa.Column("sender", sa.LargeBinary))
        batch.add_column(sa.Column("channel", sa.String))
        batch.add_column(sa.Column("conversation", _HASH))
        batch.add_column(sa.Column("principal_id", sa.String))
        batch.add_column(sa.Column("first_seen_at", _TIME))
        batch.alter_column("bound_at", existing_type=_TIME, nullable=True)
    op.execute("UPDATE channel_account SET principal_id = 'P-' || customer_id, first_seen_at = bound_at")
    with op.batch_alter_table("channel_account") as batch:
        batch.alter_column("first_seen_at", existing_type=_TIME, nullable=False)
        batch.create_foreign_key("fk_channel_account_principal_id", "principal", ["principal_id"], ["id"])
        batch.drop_constraint("fk_channel_account_customer_id", type_="foreignkey")
        batch.drop_column("customer_id")
        batch.drop_column("role")
    op.create_index("ix_channel_account_conversation", "channel_account", ["conversation"])
    op.create_index("ix_channel_account_principal_id", "channel_account", ["principal_id"])
    op.create_index("ix_misunderstood_conversation", "misunderstood", ["conversation"])
    op.create_index("ix_complaint_conversation", "complaint", ["conversation"])
    _tell_who_has_written()


def _tell_who_has_written() -> None:
    """Of every conversation that opens: its account, whether or not it is bound."""
    connection = op.get_bind()
    account = sa.table(
        "channel_account",
        *map(sa.column, ("sender_index", "sender", "channel", "conversation")),
        sa.column("first_seen_at", _TIME),
    )
    for ring, row in _beginnings(connection):
        try:
            sender = open_sender(ring, row)
            events = open_events(ring, [row], row.position)
        except TamperedError:
            log.warning("who speaks in conversation %s does not open / 无法得知这段对话的顾客", row.conversation)
            continue
        # as mall_adapter.models.sender_index has it
        index = blind_index(hashlib.sha256(sender.encode()).hexdigest(), "channel_account.sender")
        told = {
            "sender": seal(ring, sender.encode(), place_of("channel_account.sender", [index])),
            "channel": sender.partition(":")[0],
            "conversation": row.conversation,
        }
        update = sa.update(account).where(account.c.sender_index == index).values(told)
        if not connection.execute(update).rowcount:
            seen = datetime.fromtimestamp(events[0].get("timestamp") or 0, UTC) if events else datetime.now(UTC)
            connection.execute(sa.insert(account).values(sender_index=index, first_seen_at=seen, **told))


def _beginnings(connection: sa.Connection) -> Iterator[tuple[KeyRing, Row]]:
    """The first row of each conversation. Where nothing is sealed yet there need not be a key ring."""
    table = conversation_event
    ring: KeyRing | None = None
    last = ""
    while True:
        first = (
            sa.select(table.c.conversation, sa.func.min(table.c.position).label("position"))
            .where(table.c.conversation > last)
            .group_by(table.c.conversation)
            .order_by(table.c.conversation)
            .limit(BATCH)
            .subquery()
        )
        at = sa.and_(table.c.conversation == first.c.conversation, table.c.position == first.c.position)
        rows: list[Any] = list(connection.execute(sa.select(table).join(first, at).order_by(table.c.conversation)))
        if not rows:
            return
        ring = ring or verify_keyring(connection)
        for row in rows:
            yield ring, Row(*row)
        last = rows[-1].conversation


def downgrade() -> None:
    op.drop_index("ix_complaint_conversation", "complaint")
    op.drop_index("ix_misunderstood_conversation", "misunderstood")
    op.drop_index("ix_channel_account_principal_id", "channel_account")
    op.drop_index("ix_channel_account_conversation", "channel_account")
    with op.batch_alter_table("channel_account") as batch:
        batch.add_column(sa.Column("customer_id", sa.String))
        batch.add_column(sa.Column("role", sa.String, nullable=False, server_default="customer"))
    # the last release knows only those that are bound to a customer
    op.execute(
        "UPDATE channel_account SET customer_id ="
        " (SELECT customer_id FROM principal WHERE principal.id = channel_account.principal_id)"
    )
    op.execute("DELETE FROM channel_account WHERE customer_id IS NULL")
    op.execute("UPDATE channel_account SET bound_at = first_seen_at WHERE bound_at IS NULL")
    with op.batch_alter_table("channel_account") as batch:
        batch.alter_column("customer_id", existing_type=sa.String, nullable=False)
        batch.alter_column("bound_at", existing_type=_TIME, nullable=False)
        batch.alter_column("role", existing_type=sa.String, server_default=None)
        batch.create_foreign_key("fk_channel_account_customer_id", "customer", ["customer_id"], ["id"])
        batch.drop_constraint("fk_channel_account_principal_id", type_="foreignkey")
        for name in ("sender", "channel", "conversation", "principal_id", "first_seen_at"):
            batch.drop_column(name)
    op.drop_table("membership")
    op.drop_table("principal")
