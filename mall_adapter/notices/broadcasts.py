"""One message to many: drafted by one operator, approved by another, sent at a pace, and counted by channel.

Recipients are taken by their id, a few in each second, so nothing is ever written for all of them at once; whoever
pauses it stops what has not been taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from sqlalchemy import bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from mall_adapter import models, permissions
from mall_adapter.coupons import Gift, give
from mall_adapter.errors import InvalidTransition, NotFound, NotPermitted
from mall_adapter.models import BroadcastState
from mall_adapter.notices.kinds import KINDS
from mall_adapter.notices.segments import Segment, customers_of, segment_of
from mall_adapter.notices.telling import CHANNEL, notify, wants_marketing
from storage import WRITES, Actor, Event, UtcDateTime, record
from storage.outbox import Outbox, State

TICK = timedelta(seconds=1)

_S = BroadcastState

STEPS: Mapping[str, tuple[frozenset[BroadcastState], BroadcastState]] = {
    "propose": (frozenset({_S.DRAFT}), _S.PROPOSED),
    "approve": (frozenset({_S.PROPOSED}), _S.SENDING),
    "pause": (frozenset({_S.SENDING}), _S.PAUSED),
    "resume": (frozenset({_S.PAUSED}), _S.SENDING),
    "withdraw": (frozenset({_S.DRAFT, _S.PROPOSED, _S.PAUSED}), _S.WITHDRAWN),
}
"""From which states an operator takes a step, and to which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastMoved(Event):
    """``subject`` is the broadcast: "broadcast:7"."""

    kind: ClassVar[str] = "broadcast_moved"
    step: str
    total: int


@dataclass(frozen=True, slots=True)
class Broadcast:
    id: int
    text: str
    product_id: str | None
    product: str | None
    coupon: Mapping[str, Any] | None
    segment: Mapping[str, Any]
    state: BroadcastState
    total: int
    taken: int
    drafted_by: str  # names
    drafted_at: datetime
    approved_by: str | None
    mine: bool  # of whoever asks: they may not approve it
    results: Sequence[tuple[str | None, str, int]]  # channel (None: none was chosen yet), how it stands, customers


async def draft(
    session: AsyncSession,
    actor: Actor,
    text: str,
    product_id: str | None,
    segment: Segment,
    now: datetime,
    gift: Gift | None = None,
) -> int:
    """The number of the new one; with a ``gift`` each gets a coupon. Raises NotFound for goods that there are not."""
    permissions.check(actor, "broadcast")
    if product_id is not None and await session.get(models.Product, product_id) is None:
        raise NotFound(product_id)
    row = models.Broadcast(
        text=text,
        product_id=product_id,
        coupon=gift.model_dump() if gift else None,
        segment=segment.model_dump(),
        state=_S.DRAFT,
        total=await count(session, segment, now),
        drafted_by=_principal(actor),
        drafted_at=now,
    )
    session.add(row)
    await session.flush()
    _record(session, row, "draft", actor, now)
    return row.id


async def count(session: AsyncSession, segment: Segment, now: datetime) -> int:
    """How many it means who can be written to, also those who want to hear of no offers."""
    return await session.scalar(select(func.count()).select_from(customers_of(segment, now).subquery())) or 0


async def step(session: AsyncSession, actor: Actor, number: int, name: str, now: datetime) -> None:
    """One of :data:`STEPS`. Raises NotFound, InvalidTransition, and NotPermitted where somebody approves their own."""
    permissions.check(actor, "broadcast")
    row = await session.get(models.Broadcast, number, with_for_update=True)
    if row is None:
        raise NotFound(str(number))
    before, after = STEPS[name]
    if row.state not in before:
        raise InvalidTransition(f"a broadcast that is {row.state} is not to {name}")
    if name == "approve":
        if actor.principal_id == row.drafted_by:
            raise NotPermitted("a broadcast is approved by somebody else")
        row.approved_by, row.approved_at, row.due_at = actor.principal_id, now, now
    if name in {"propose", "approve"}:
        row.total = await count(session, segment_of(row.segment), now)
    row.state = after
    _record(session, row, name, actor, now)


async def take_some(engine: AsyncEngine, now: datetime) -> bool:
    """Writes the next few of one broadcast that is due into the outbox; whether there was one. Any number of processes
    keep to the pace of each together."""
    row = models.Broadcast
    due = select(row).where(row.state == _S.SENDING, row.due_at <= now).order_by(row.due_at, row.id).limit(1)
    async with engine.connect() as connection:  # without a write, which others would wait for, while there is none
        if await connection.scalar(_DUE, {"of_now": now}) is None:
            return False
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        broadcast = await session.scalar(due.with_for_update(skip_locked=True))
        if broadcast is None:
            return False
        if resumes := KINDS.quiet.ends(now):
            broadcast.due_at = resumes
            return True
        customer_id = models.Customer.id
        theirs = customers_of(segment_of(broadcast.segment), now).where(customer_id > broadcast.position)
        found = (await session.scalars(theirs.order_by(customer_id).limit(KINDS.per_second))).all()
        values, gift = await _values(session, broadcast), gift_of(broadcast.coupon)
        for each in found:
            cause = about = f"broadcast:{broadcast.id}"
            told = await notify(session, each, "broadcast", values, about=about, cause=cause, at=now, now=now)
            if told and gift and await wants_marketing(session, each):
                await give(session, each, gift, cause, now)
        broadcast.taken += len(found)
        broadcast.due_at = now + TICK
        if found:
            broadcast.position = found[-1]
        if len(found) < KINDS.per_second:
            broadcast.state = _S.DONE
    return True


async def newest(session: AsyncSession, actor: Actor, limit: int) -> Sequence[Broadcast]:
    permissions.check(actor, "broadcast")
    row = models.Broadcast
    rows = (await session.scalars(select(row).order_by(row.id.desc()).limit(limit))).all()
    names = await _names(session, {each.drafted_by for each in rows} | {each.approved_by or "" for each in rows})
    products = {each.product_id for each in rows if each.product_id}
    of_goods = select(models.Product.id, models.Product.name).where(models.Product.id.in_(products))
    goods = {str(product_id): str(name) for product_id, name in await session.execute(of_goods)}
    return [
        Broadcast(
            each.id,
            each.text,
            each.product_id,
            goods.get(each.product_id or ""),
            each.coupon,
            each.segment,
            each.state,
            each.total,
            each.taken,
            names.get(each.drafted_by, ""),
            each.drafted_at,
            names.get(each.approved_by or ""),
            each.drafted_by == actor.principal_id,
            await results(session, each.id),
        )
        for each in rows
    ]


def _principal(actor: Actor) -> str:
    if actor.principal_id is None:
        raise NotPermitted("whoever sends to many has a name")
    return actor.principal_id


def gift_of(stored: Mapping[str, Any] | None) -> Gift | None:
    return Gift.model_validate(stored) if stored else None


def shown(text: str, gift: Gift | None = None) -> str:
    """As those see it to whom it goes."""
    return "\n".join([text, *([_told(gift)] if gift else []), KINDS.footer])


def _told(gift: Gift) -> str:
    words = KINDS.gift if gift.min_spend_cents else KINDS.gift_on_anything
    return words.format(
        title=gift.title, off=_yuan(gift.off_cents), minimum=_yuan(gift.min_spend_cents), days=gift.days
    )


def _yuan(cents: int) -> str:
    """``5000`` → ``50``, ``990`` → ``9.90``."""
    whole, rest = divmod(cents, 100)
    return f"{whole}.{rest:02d}" if rest else str(whole)


async def _values(session: AsyncSession, broadcast: models.Broadcast) -> dict[str, str]:
    gift = gift_of(broadcast.coupon)
    values = {"text": shown(broadcast.text, gift), "form": "gift" if gift else "plain"}
    if broadcast.product_id and (product := await session.get(models.Product, broadcast.product_id)):
        values |= {"form": "goods_and_gift" if gift else "goods", "product": product.name}
    return values


async def results(session: AsyncSession, number: int) -> Sequence[tuple[str | None, str, int]]:
    """How each stands: by what became of it before a channel was chosen, and then by channel. Those who see it when
    they come back ("shown") have nothing in the outbox of a channel."""
    row = Outbox
    of_it = row.kind == "broadcast", row.cause == f"broadcast:{number}"
    counted = select(row.channel, row.state, row.error_class, func.count()).where(*of_it)
    found = Counter[tuple[str | None, str]]()
    shown = 0
    for channel, state, error_class, customers in await session.execute(
        counted.group_by(row.channel, row.state, row.error_class)
    ):
        why = (error_class or "").partition(":")[0]
        if channel != CHANNEL:
            found[channel, "refused" if why == "person" else str(state)] += customers
            shown -= customers
        elif state == State.SENT:
            shown += customers
        else:
            found[None, why if state == State.DONE else str(state)] += customers
    if shown > 0:
        found[None, "shown"] += shown
    return sorted(((*key, customers) for key, customers in found.items()), key=lambda each: (each[0] or "", each[1]))


async def _names(session: AsyncSession, principals: set[str]) -> Mapping[str, str]:
    found = await session.scalars(select(models.Principal).where(models.Principal.id.in_(principals)))
    return {each.id: each.name or each.id for each in found}


def _record(session: AsyncSession, row: models.Broadcast, step: str, actor: Actor, now: datetime) -> None:
    record(session, BroadcastMoved(subject=f"broadcast:{row.id}", step=step, total=row.total), actor, now)


_DUE = (
    select(models.Broadcast.id)
    .where(models.Broadcast.state == _S.SENDING, models.Broadcast.due_at <= bindparam("of_now", type_=UtcDateTime()))
    .limit(1)
)
"""Made once: it is asked twice a second."""
