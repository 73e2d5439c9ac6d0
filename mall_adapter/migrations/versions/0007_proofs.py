"""Proofs of ownership apart from wrong tries, which are counted for the sender, the order and the caller's address."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_HASH = sa.String(64)


def upgrade() -> None:
    _create_new()
    old, bound, proof, wrong = (_table(name) for name in ("ownership_attempt", "binding_attempt", *_NEW))
    now = datetime.now(UTC)
    proved = sa.select(old.c.sender_index, old.c.order_id, sa.false(), old.c.proven_at).where(
        old.c.proven_at.is_not(None)
    )
    op.execute(proof.insert().from_select(["sender_index", "order_id", "whole_phone", "proven_at"], proved))
    for way, order_id, table in (("tail", old.c.order_id, old), ("phone", sa.literal(""), bound)):
        locked = sa.case((table.c.locked_until.is_(None), 0), else_=1)
        tries = sa.select(
            sa.literal(way),
            table.c.sender_index,
            order_id,
            sa.literal(""),
            table.c.wrong_tries,
            sa.literal(now + timedelta(hours=1), _TIME),
            locked,
            table.c.locked_until,
            sa.literal(now + timedelta(days=7), _TIME),
        ).where(table.c.wrong_tries > 0)
        op.execute(wrong.insert().from_select([column.name for column in wrong.columns], tries))
    op.drop_table("ownership_attempt")
    op.drop_table("binding_attempt")


def downgrade() -> None:
    _create_old()
    old, bound, proof, wrong = (_table(name) for name in ("ownership_attempt", "binding_attempt", *_NEW))
    columns = ["sender_index", "order_id", "wrong_tries", "locked_until", "proven_at"]
    proved = sa.select(proof.c.sender_index, proof.c.order_id, sa.literal(0), sa.null(), proof.c.proven_at)
    op.execute(old.insert().from_select(columns, proved))
    counted = sa.select(wrong.c.sender_index, wrong.c.order_id, wrong.c.tries, wrong.c.locked_until, sa.null()).where(
        wrong.c.way == "tail",
        wrong.c.sender_index != "",
        wrong.c.order_id.in_(sa.select(_table("orders").c.id)),
        ~sa.exists().where(proof.c.sender_index == wrong.c.sender_index, proof.c.order_id == wrong.c.order_id),
    )
    op.execute(old.insert().from_select(columns, counted))
    counted = sa.select(
        wrong.c.sender_index, wrong.c.tries, sa.literal(datetime.now(UTC), _TIME), wrong.c.locked_until
    ).where(wrong.c.way == "phone", wrong.c.sender_index != "", wrong.c.order_id == "")
    op.execute(bound.insert().from_select(["sender_index", "wrong_tries", "first_at", "locked_until"], counted))
    op.drop_table("wrong_proofs")
    op.drop_table("ownership_proof")


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
        sa.Column("order_id", sa.String, primary_key=True),
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
