"""Proofs of ownership apart from wrong tries, which are counted for the sender, the order and the caller's address."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

from privacy.columns import blind_index

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_HASH = sa.String(64)
_TYPED = "wrong_proofs.order"


def upgrade() -> None:
    _create_new()
    old, bound, proof, wrong = (_table(name) for name in ("ownership_attempt", "binding_attempt", *_NEW))
    now = datetime.now(UTC)
    proved = sa.select(old.c.sender_index, old.c.order_id, sa.false(), old.c.proven_at).where(
        old.c.proven_at.is_not(None)
    )
    op.execute(proof.insert().from_select(["sender_index", "order_id", "whole_phone", "proven_at"], proved))
    connection = op.get_bind()
    for way, table in (("tail", old), ("phone", bound)):
        for row in connection.execute(sa.select(table).where(table.c.wrong_tries > 0)).mappings().all():
            tries = {
                "way": way,
                "sender_index": row["sender_index"],
                "order_index": blind_index(row["order_id"], _TYPED) if way == "tail" else "",
                "address_index": "",
                "tries": row["wrong_tries"],
                "counted_until": now + timedelta(hours=1),
                "times_locked": 0 if row["locked_until"] is None else 1,
                "locked_until": row["locked_until"],
                "forgotten_at": now + timedelta(days=7),
            }
            connection.execute(wrong.insert().values(tries))
    op.drop_table("ownership_attempt")
    op.drop_table("binding_attempt")


def downgrade() -> None:
    _create_old()
    old, bound, proof, wrong = (_table(name) for name in ("ownership_attempt", "binding_attempt", *_NEW))
    columns = ["sender_index", "order_id", "wrong_tries", "locked_until", "proven_at"]
    proved = sa.select(proof.c.sender_index, proof.c.order_id, sa.literal(0), sa.null(), proof.c.proven_at)
    op.execute(old.insert().from_select(columns, proved))
    _orders_back(old, proof, wrong)
    counted = sa.select(
        wrong.c.sender_index, wrong.c.tries, sa.literal(datetime.now(UTC), _TIME), wrong.c.locked_until
    ).where(wrong.c.way == "phone", wrong.c.sender_index != "", wrong.c.order_index == "")
    op.execute(bound.insert().from_select(["sender_index", "wrong_tries", "first_at", "locked_until"], counted))
    op.drop_table("wrong_proofs")
    op.drop_table("ownership_proof")


def _orders_back(old: sa.Table, proof: sa.Table, wrong: sa.Table) -> None:
    """The tries of a sender at an order that there is: of a hash it can only be said whether it is that order's."""
    connection = op.get_bind()
    counted = connection.execute(
        sa.select(wrong).where(wrong.c.way == "tail", wrong.c.sender_index != "", wrong.c.order_index != "")
    )
    tries = counted.mappings().all()
    ids = connection.scalars(sa.select(_table("orders").c.id)) if tries else ()
    orders = {blind_index(order_id, _TYPED): order_id for order_id in ids}
    proved = {(row.sender_index, row.order_id) for row in connection.execute(sa.select(proof))}
    for row in tries:
        order_id = orders.get(row["order_index"])
        if order_id is None or (row["sender_index"], order_id) in proved:
            continue
        kept = {"sender_index": row["sender_index"], "order_id": order_id, "wrong_tries": row["tries"]}
        connection.execute(old.insert().values(**kept, locked_until=row["locked_until"], proven_at=None))


_NEW = ("ownership_proof", "wrong_proofs")


def _table(name: str) -> sa.Table:
    return sa.Table(name, sa.MetaData(), autoload_with=op.get_bind())


def _create_new() -> None:
    op.create_table(
        "ownership_proof",
        sa.Column("sender_index", _HASH, primary_key=True),
        sa.Column("order_id", sa.String, sa.ForeignKey("orders.id"), primary_key=True),
        sa.Column("whole_phone", sa.Boolean, nullable=False),
        sa.Column("proven_at", _TIME, nullable=False),
    )
    op.create_table(
        "wrong_proofs",
        sa.Column("way", sa.String(32), primary_key=True),
        sa.Column("sender_index", _HASH, primary_key=True),
        sa.Column("order_index", _HASH, primary_key=True),
        sa.Column("address_index", _HASH, primary_key=True),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("counted_until", _TIME, nullable=False),
        sa.Column("times_locked", sa.Integer, nullable=False),
        sa.Column("locked_until", _TIME),
        sa.Column("forgotten_at", _TIME, nullable=False),
    )
    op.create_index(None, "wrong_proofs", ["forgotten_at"])


def _create_old() -> None:
    op.create_table(
        "ownership_attempt",
        sa.Column("sender_index", _HASH, primary_key=True),
        sa.Column("order_id", sa.String, sa.ForeignKey("orders.id"), primary_key=True),
        sa.Column("wrong_tries", sa.Integer, nullable=False),
        sa.Column("locked_until", _TIME),
        sa.Column("proven_at", _TIME),
    )
    op.create_table(
        "binding_attempt",
        sa.Column("sender_index", _HASH, primary_key=True),
        sa.Column("wrong_tries", sa.Integer, nullable=False),
        sa.Column("first_at", _TIME, nullable=False),
        sa.Column("locked_until", _TIME),
    )
