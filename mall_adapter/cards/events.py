"""What happens to smart cards. A person is ``customer:<id>``, ``staff:<id of a principal>`` for those of their own, or
``account:<opaque id>`` while nobody knows who they are; ``subject`` is the card."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from storage import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class CardMade(Event):
    """``owner`` is the id of a principal."""

    kind: ClassVar[str] = "card.made"
    card_id: str
    owner: str
    person: str  # the same, as they hold their own card
    title: str | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CardChanged(Event):
    kind: ClassVar[str] = "card.changed"
    card_id: str
    owner: str
    title: str | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CardForwarded(Event):
    """One for each opening that counts. ``signals`` are keyed hashes: ``device``, ``address``, as far as they are
    known."""

    kind: ClassVar[str] = "card.forwarded"
    forward_id: int
    card_id: str
    sharer: str
    opener: str
    channel: str
    depth: int
    at: datetime
    new_person: bool
    signals: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CardForwardEnded(Event):
    """It counts no more: ``declined`` by who opened it, or ``loop``, of people who turned out to be one."""

    kind: ClassVar[str] = "card.forward_ended"
    forward_id: int
    card_id: str
    opener: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CardPersonBound(Event):
    """Whoever was ``account`` until now is ``customer``; ``subject`` is the latter."""

    kind: ClassVar[str] = "card.person_bound"
    account: str
    customer: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CardConverted(Event):
    kind: ClassVar[str] = "card.converted"
    conversion_id: int
    card_id: str
    forward_id: int
    person: str
    order_id: str
    paid_cents: int
    channel: str
    depth: int
    at: datetime
    first_order: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CardConversionReversed(Event):
    """``share_bps`` of what was paid has gone back by now, all refunds together; 10000 is the whole."""

    kind: ClassVar[str] = "card.conversion_reversed"
    conversion_id: int
    order_id: str
    share_bps: int
    at: datetime
