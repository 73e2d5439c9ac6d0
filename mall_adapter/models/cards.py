"""Smart cards: what stands on them, who holds one, who came to it through whom, and what was bought after that."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from privacy.columns import EncryptedText, KeyedHash
from storage import Base

_OWN = text("into_id IS NULL")


class Card(Base):
    """A salesperson's. What names them is sealed in the database, though whoever holds a card is shown it."""

    __tablename__ = "card"

    id: Mapped[str] = mapped_column(primary_key=True)
    principal_id: Mapped[str] = mapped_column(ForeignKey("principal.id"), unique=True)
    name: Mapped[str] = mapped_column(EncryptedText("card.name"))
    title: Mapped[str | None]  # None: what the house calls its salespeople
    greeting: Mapped[str | None] = mapped_column(EncryptedText("card.greeting"))
    phone: Mapped[str | None] = mapped_column(EncryptedText("card.phone"))  # None: not shown
    portrait: Mapped[str | None] = mapped_column(EncryptedText("card.portrait"))  # a JPEG in base64
    product_ids: Mapped[list[Any]] = mapped_column(JSON)
    made_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    portrait_until: Mapped[datetime | None]  # until then the next picture that its owner sends is their portrait


class CardVisitor(Base):
    """A sender who has met a card, and who they are among those who hold cards: ``account:<opaque id>`` until they are
    bound. Several senders are one person where one has led to the other."""

    __tablename__ = "card_visitor"

    sender_index: Mapped[str] = mapped_column(KeyedHash(), primary_key=True)
    person: Mapped[str] = mapped_column(index=True)
    since: Mapped[datetime]


class CardDeclined(Base):
    """Somebody who is known and does not want it noted by whom they came to cards: nobody is told their name."""

    __tablename__ = "card_declined"

    person: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[datetime]


class CardHolder(Base):
    """A person's copy of a card, with the token of its link. The ``id`` grows: whoever came later has a larger one."""

    __tablename__ = "card_holder"
    __table_args__ = (
        CheckConstraint("(parent_id IS NULL) = (depth = 0)", name="depth"),
        Index("uq_card_holder_person", "card_id", "person", unique=True, sqlite_where=_OWN, postgresql_where=_OWN),
        Index(None, "person", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    token: Mapped[str] = mapped_column(unique=True)
    card_id: Mapped[str] = mapped_column(ForeignKey("card.id"))
    person: Mapped[str]  # customer:<id>, staff:<id of a principal>, account:<opaque id>
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("card_holder.id"), index=True)  # through whom it came first
    depth: Mapped[int]  # 0: its owner
    channel: Mapped[str]  # by which it came
    since: Mapped[datetime]
    into_id: Mapped[int | None] = mapped_column(ForeignKey("card_holder.id"), index=True)  # the same person's copy now
    crossing_until: Mapped[datetime | None]  # who comes with the token by then, in another channel, is its holder

    card: Mapped[Card] = relationship()


class CardForward(Base):
    """An opening that counts: ``opener`` came to the card through ``sharer``'s link, and had it later than they. So of
    all that is here nothing runs in a circle."""

    __tablename__ = "card_forward"
    __table_args__ = (
        UniqueConstraint("sharer_id", "opener_id"),
        CheckConstraint("sharer_id < opener_id", name="order"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    card_id: Mapped[str] = mapped_column(ForeignKey("card.id"), index=True)
    sharer_id: Mapped[int] = mapped_column(ForeignKey("card_holder.id"))
    opener_id: Mapped[int] = mapped_column(ForeignKey("card_holder.id"), index=True)
    channel: Mapped[str]
    depth: Mapped[int]  # of the opener as they came: 1 is through the owner's own link
    at: Mapped[datetime]


class CardConversion(Base):
    """An order that was paid after its customer had come to a card. What went back of it is counted in shares."""

    __tablename__ = "card_conversion"
    __table_args__ = (CheckConstraint("reversed_bps BETWEEN 0 AND 10000", name="reversed"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"), unique=True)
    card_id: Mapped[str] = mapped_column(ForeignKey("card.id"), index=True)
    forward_id: Mapped[int]  # as it was; it may have ended since
    at: Mapped[datetime]
    reversed_bps: Mapped[int] = mapped_column(default=0)  # 10000: all that was paid
