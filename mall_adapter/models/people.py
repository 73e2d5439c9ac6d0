"""People: who they are, in which roles, and by which channel accounts they reach the house."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, false, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from privacy.columns import EncryptedText, KeyedHash, blind_index, exact_index
from storage import Base, Role


def sender_index(sender: str) -> str:
    """The keyed hash under which a sender (``"<channel>:<external id>"``) is stored."""
    return exact_index(sender, "channel_account.sender")


def phone_index(phone: str) -> str:
    """The keyed hash by which a customer is found from a full phone number (digits only)."""
    return blind_index(phone, "customer.phone")


def name_index(name: str) -> str:
    """The keyed hash by which somebody who works here is found from their name."""
    return blind_index(name, "principal.name")


class Customer(Base):
    __tablename__ = "customer"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(EncryptedText("customer.name"))
    phone: Mapped[str] = mapped_column(EncryptedText("customer.phone"))
    phone_index: Mapped[str] = mapped_column(KeyedHash(), unique=True)
    address: Mapped[str] = mapped_column(EncryptedText("customer.address"))
    region: Mapped[str] = mapped_column(ForeignKey("region.code"))
    registered_at: Mapped[datetime]
    demo: Mapped[bool] = mapped_column(default=False, server_default=false())  # invented, see demo_mark.py


class Principal(Base):
    """Somebody whom the house knows. A customer's name stands with the customer; who works here has one of their own,
    which nobody else has."""

    __tablename__ = "principal"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str | None] = mapped_column(EncryptedText("principal.name"))
    name_index: Mapped[str | None] = mapped_column(KeyedHash(), unique=True)
    customer_id: Mapped[str | None] = mapped_column(ForeignKey("customer.id"), unique=True)
    manager_id: Mapped[str | None] = mapped_column(index=True)  # the principal who sees what this one's cards did
    created_at: Mapped[datetime]
    demo: Mapped[bool] = mapped_column(default=False, server_default=false())

    customer: Mapped[Customer | None] = relationship()
    memberships: Mapped[list[Membership]] = relationship(back_populates="principal", order_by="Membership.id")


class Membership(Base):
    """A role that somebody has; a supplier's people have theirs for one supplier."""

    __tablename__ = "membership"
    __table_args__ = (
        CheckConstraint("(role = 'supplier') = (supplier_id IS NOT NULL)", name="supplier"),
        Index("uq_membership_supplier", "principal_id", "role", "supplier_id", unique=True),
        Index(
            "uq_membership_role",
            "principal_id",
            "role",
            unique=True,
            sqlite_where=text("supplier_id IS NULL"),
            postgresql_where=text("supplier_id IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    principal_id: Mapped[str] = mapped_column(ForeignKey("principal.id"))
    role: Mapped[Role]
    supplier_id: Mapped[str | None] = mapped_column(ForeignKey("supplier.id"), index=True)
    granted_at: Mapped[datetime]
    granted_by: Mapped[str | None]  # the principal who did; None: the house itself

    principal: Mapped[Principal] = relationship(back_populates="memberships")


class Merger(Base):
    """Two customers were found to be one: what names ``gone_id`` means ``kept_id``, who is in no other row as gone."""

    __tablename__ = "customer_merger"

    gone_id: Mapped[str] = mapped_column(ForeignKey("customer.id"), primary_key=True)
    kept_id: Mapped[str] = mapped_column(ForeignKey("customer.id"), index=True)
    merged_at: Mapped[datetime]


class ChannelAccount(Base):
    """An account of a channel that has written to the house. Several may belong to the same principal, most to none.

    The sender is sealed, so that the house can write to it. Of an account that was bound before senders were kept, and
    has not written since, only the hash is known.
    """

    __tablename__ = "channel_account"

    sender_index: Mapped[str] = mapped_column(KeyedHash(), primary_key=True)
    sender: Mapped[str | None] = mapped_column(EncryptedText("channel_account.sender"))
    channel: Mapped[str | None]
    conversation: Mapped[str | None] = mapped_column(KeyedHash(), index=True)  # privacy.conversations.conversation_of
    principal_id: Mapped[str | None] = mapped_column(ForeignKey("principal.id"), index=True)
    first_seen_at: Mapped[datetime]
    heard_at: Mapped[datetime | None]  # within the hour; None: cannot be written to until it writes
    bound_at: Mapped[datetime | None]

    principal: Mapped[Principal | None] = relationship()
