"""Who has shown that an order is theirs, and who has tried to."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from mall_adapter.values import Proof
from privacy.columns import KeyedHash, blind_index
from storage import Base


def typed_order_index(order_id: str) -> str:
    """The keyed hash under which tries at an order are counted: what was typed may be anything."""
    return blind_index(order_id, "wrong_proofs.order")


def address_index(address: str) -> str:
    """The keyed hash under which the address of a caller is counted."""
    return blind_index(address, "wrong_proofs.address")


def code_index(code: str) -> str:
    """The keyed hash of a one-time code; full width and spaces are forgiven."""
    return blind_index(code, "binding_code.code")


class BindingCode(Base):
    """A one-time code by which a customer binds another account. It is over with its time, or when it was used or
    replaced; a customer has one that is not."""

    __tablename__ = "binding_code"
    __table_args__ = (
        Index(
            "uq_binding_code_live",
            "customer_id",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
    )

    code_index: Mapped[str] = mapped_column(KeyedHash(), primary_key=True)
    customer_id: Mapped[str] = mapped_column(ForeignKey("customer.id"))
    good_until: Mapped[datetime] = mapped_column(index=True)
    ended_at: Mapped[datetime | None]


class OwnershipProof(Base):
    """A sender has shown that an order is theirs: by the last digits of its phone, or by the whole number."""

    __tablename__ = "ownership_proof"

    sender_index: Mapped[str] = mapped_column(KeyedHash(), primary_key=True)
    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"), primary_key=True)
    whole_phone: Mapped[bool] = mapped_column(default=False)
    proven_at: Mapped[datetime]


class WrongProofs(Base):
    """Wrong tries at one way of proving, of whoever the three columns name; an empty one stands for anybody, or any.

    ``order_index`` is of what was typed, whether there is such an order or not. A row says nothing any more from
    ``forgotten_at`` on, and goes then.
    """

    __tablename__ = "wrong_proofs"

    way: Mapped[Proof] = mapped_column(primary_key=True)
    sender_index: Mapped[str] = mapped_column(KeyedHash(), primary_key=True)
    order_index: Mapped[str] = mapped_column(KeyedHash(), primary_key=True)
    address_index: Mapped[str] = mapped_column(KeyedHash(), primary_key=True)
    tries: Mapped[int] = mapped_column(default=0)
    counted_until: Mapped[datetime]  # then the tries are forgotten
    times_locked: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[datetime | None]
    forgotten_at: Mapped[datetime] = mapped_column(index=True)
