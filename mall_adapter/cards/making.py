"""What stands on a salesperson's card: made and changed by themselves."""

from __future__ import annotations

import base64
import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models, people, permissions
from mall_adapter.cards import holders, persons
from mall_adapter.cards.events import CardChanged, CardMade
from mall_adapter.cards.rules import card_rules
from storage import Actor, Role, record

LONGEST = {"name": 20, "title": 20, "greeting": 60, "phone": 20}
"""Characters."""

MOST_PRODUCTS = 3


@dataclass(frozen=True, slots=True)
class Face:
    """What whoever holds the card is shown."""

    card_id: str
    name: str
    title: str | None  # None: what the house calls its salespeople
    greeting: str | None
    phone: str | None
    portrait: bytes | None  # a JPEG
    product_ids: tuple[str, ...]
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Copy:
    """A person's copy of a card, and the token of its link."""

    token: str
    face: Face
    own: bool  # the owner's


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What is to stand there instead; None: what stands there; an empty text: nothing."""

    name: str | None = None
    title: str | None = None
    greeting: str | None = None
    phone: str | None = None
    product_ids: Sequence[str] | None = None


def face(card: models.Card) -> Face:
    portrait = base64.b64decode(card.portrait) if card.portrait else None
    products = tuple(str(each) for each in card.product_ids)
    return Face(card.id, card.name, card.title, card.greeting, card.phone, portrait, products, card.changed_at)


async def make(session: AsyncSession, sender: str, now: datetime) -> Copy:
    """The sender's card, with their name on it, where there is none yet. Raises NotPermitted for whoever is not in
    sales."""
    by = await people.actor_of(session, sender, Role.SALES)
    permissions.check(by, "make_card")
    if found := await mine(session, by):
        return found
    principal = await session.get_one(models.Principal, by.principal_id)
    person = persons.of_principal(principal.id, principal.customer_id)
    card = models.Card(
        id=f"CD{secrets.token_hex(6)}",
        principal_id=principal.id,
        name=clean(await people.name_of(session, by))[: LONGEST["name"]],
        product_ids=[],
        made_at=now,
        changed_at=now,
    )
    session.add(card)
    await session.flush()
    token = holders.new_token()
    first = {"token": token, "card_id": card.id, "person": person, "depth": 0, "channel": by.channel or ""}
    session.add(models.CardHolder(**first, since=now))
    event = CardMade(
        subject=f"card:{card.id}", card_id=card.id, owner=principal.id, person=person, title=card.title, at=now
    )
    record(session, event, by, now)
    return Copy(token, face(card), True)


async def mine(session: AsyncSession, by: Actor) -> Copy | None:
    card, holder = models.Card, models.CardHolder
    query = (
        select(card, holder.token)
        .join(holder, holder.card_id == card.id)
        .where(card.principal_id == by.principal_id, holder.depth == 0)
    )
    found = (await session.execute(query)).one_or_none()
    return Copy(found.token, face(found.Card), True) if found else None


async def change(session: AsyncSession, sender: str, changes: Changes, now: datetime) -> Copy:
    """The sender's card as it is then, made if there was none. Raises NotPermitted, or ValueError for what has no place
    on it."""
    made = await make(session, sender, now)
    card = await session.get_one(models.Card, made.face.card_id, with_for_update=True)
    told = {name: getattr(changes, name) for name in LONGEST}
    texts = {name: clean(value) for name, value in told.items() if value is not None}
    if any(len(value) > LONGEST[name] for name, value in texts.items()) or texts.get("name") == "":
        raise ValueError("too long for a card, or no name at all")
    for name, value in texts.items():
        setattr(card, name, value or None)
    if changes.product_ids is not None:
        card.product_ids = list(dict.fromkeys(changes.product_ids))[:MOST_PRODUCTS]
    await _changed(session, card, await people.actor_of(session, sender, Role.SALES), now)
    return Copy(made.token, face(card), True)


async def want_portrait(session: AsyncSession, sender: str, now: datetime) -> None:
    """The next picture that the sender sends is their portrait. Raises NotPermitted."""
    made = await make(session, sender, now)
    card = await session.get_one(models.Card, made.face.card_id)
    card.portrait_until = now + card_rules().portrait_waited


async def awaits_portrait(session: AsyncSession, sender: str, now: datetime) -> bool:
    account, card = models.ChannelAccount, models.Card
    query = (
        select(card.id)
        .join(account, account.principal_id == card.principal_id)
        .where(account.sender_index == models.sender_index(sender), card.portrait_until > now)
    )
    return await session.scalar(query) is not None


async def take_portrait(session: AsyncSession, sender: str, jpeg: bytes, now: datetime) -> Copy:
    """From now on it is this, and none is waited for. Raises NotPermitted."""
    made = await make(session, sender, now)
    card = await session.get_one(models.Card, made.face.card_id, with_for_update=True)
    card.portrait, card.portrait_until = base64.b64encode(jpeg).decode(), None
    await _changed(session, card, await people.actor_of(session, sender, Role.SALES), now)
    return Copy(made.token, face(card), True)


async def _changed(session: AsyncSession, card: models.Card, by: Actor, now: datetime) -> None:
    card.changed_at = now
    event = CardChanged(subject=f"card:{card.id}", card_id=card.id, owner=card.principal_id, title=card.title, at=now)
    record(session, event, by, now)
    await session.flush()


def clean(text: str) -> str:
    """Without what cannot be seen or would turn the line: controls, marks of direction."""
    joiner = "\u200d"  # holds an emoji of several together
    kept = (each for each in text if each == joiner or unicodedata.category(each) not in ("Cc", "Cf", "Cs", "Co"))
    return " ".join("".join(kept).split())
