"""Energy: lots, the movements of their points, and who came by whose card.

A person is ``customer:<id>``, ``staff:<id of a principal>``, or ``account:<opaque id>`` of somebody who is bound to none
yet.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from privacy.columns import KeyedHash
from storage import Base


class Place(StrEnum):
    """Where points of a lot are."""

    HELD = "held"  # a colleague looks at it first
    PENDING = "pending"  # what earned it may still come back
    ACTIVE = "active"  # can be spent
    SPENT = "spent"
    EXPIRED = "expired"
    REVERSED = "reversed"  # what earned it came back
    REFUSED = "refused"
    OWED = "owed"  # spent before what earned it came back


class EnergyAccount(Base):
    """Whose lots are moved by one writer at a time. ``balance`` is the sum of what is active, less what is owed."""

    __tablename__ = "energy_account"

    person: Mapped[str] = mapped_column(primary_key=True)
    balance: Mapped[int] = mapped_column(default=0)


class EnergyLot(Base):
    """What was earned once, or given; ``cause`` is what for, once for each. ``held`` to ``owed`` are sums of its movements.

    What the shop gave has no friend who came by a card.
    """

    __tablename__ = "energy_lot"
    __table_args__ = (
        CheckConstraint("points > 0", name="points"),
        CheckConstraint("held >= 0 AND pending >= 0 AND active >= 0 AND owed >= 0", name="places"),
        CheckConstraint("held + pending + active + owed <= points", name="whole"),
        Index(None, "person", "earned_at"),
        Index(
            "ix_energy_lot_open",
            "expires_at",
            sqlite_where=text("held > 0 OR pending > 0 OR active > 0"),
            postgresql_where=text("held > 0 OR pending > 0 OR active > 0"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    person: Mapped[str]
    invitee: Mapped[str | None] = mapped_column(index=True)  # the person who came
    event: Mapped[str]  # an energy.rules.Earned, or energy.gifts.OFFER
    level: Mapped[int | None]
    rule: Mapped[str]  # the row of the table, as it was called
    channel: Mapped[str | None]
    card_id: Mapped[str | None] = mapped_column(index=True)
    forward_id: Mapped[int | None] = mapped_column(index=True)  # of the opening by which they came
    conversion_id: Mapped[int | None] = mapped_column(index=True)
    order_id: Mapped[str | None]  # the first order that earned it
    cause: Mapped[str] = mapped_column(unique=True)
    points: Mapped[int]
    reasons: Mapped[list[str]] = mapped_column(JSON)  # why a colleague was to look at it
    earned_at: Mapped[datetime]
    frozen_until: Mapped[datetime | None]  # None: until the return period of the order is over
    expires_at: Mapped[datetime]
    held: Mapped[int] = mapped_column(default=0)
    pending: Mapped[int] = mapped_column(default=0)
    active: Mapped[int] = mapped_column(default=0)
    owed: Mapped[int] = mapped_column(default=0)


class EnergyEntry(Base):
    """Points of a lot went from one place to another, or came into being. Never changed."""

    __tablename__ = "energy_entry"
    __table_args__ = (CheckConstraint("points > 0", name="points"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    lot_id: Mapped[int] = mapped_column(ForeignKey("energy_lot.id"), index=True)
    source: Mapped[Place | None]  # None: they were earned
    target: Mapped[Place]
    points: Mapped[int]
    cause: Mapped[str] = mapped_column(unique=True)
    at: Mapped[datetime]
    coupon_id: Mapped[str | None] = mapped_column(ForeignKey("coupon.id"), index=True)  # for which they were spent
    principal_id: Mapped[str | None]  # of the colleague who decided


class EnergyCard(Base):
    """A card by which people come: whose it is."""

    __tablename__ = "energy_card"

    card_id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(index=True)


class EnergyReferral(Base):
    """Somebody opened a card that another person had passed on to them: the first time counts."""

    __tablename__ = "energy_referral"
    __table_args__ = (UniqueConstraint("card_id", "person"),)

    forward_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    card_id: Mapped[str]
    person: Mapped[str] = mapped_column(index=True)
    sharer: Mapped[str] = mapped_column(index=True)
    channel: Mapped[str]
    at: Mapped[datetime]


class EnergySignal(Base):
    """A device, an address, a phone … by which somebody was seen."""

    __tablename__ = "energy_signal"
    __table_args__ = (UniqueConstraint("person", "kind", "hash"), Index(None, "kind", "hash", "at"))

    id: Mapped[int] = mapped_column(primary_key=True)
    person: Mapped[str]
    kind: Mapped[str]  # an energy.rules.Signal
    hash: Mapped[str] = mapped_column(KeyedHash())
    at: Mapped[datetime]  # when first
