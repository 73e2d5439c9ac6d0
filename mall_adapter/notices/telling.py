"""A notice, from its cause to the channel: written with what caused it, decided upon when it is to go out.

It waits in the outbox for its customer, not for a channel: which one they use, whether it is night, and whether they
want to hear of it is asked only then (:func:`decide`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import exists, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from mall_adapter import models, people
from mall_adapter.notices.kinds import KINDS, KindName
from settings import SHANGHAI
from storage import insert, outbox
from storage.outbox import Dropped, Leased, Outcome, Retry, Sent

CHANNEL = "notice"
"""Of the outbox: from what happened to the channel of the customer."""

AT_ONCE = 20
LEASE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Notice:
    """``response`` is the bot's, and ``values`` are filled into it; ``about`` names what it is about."""

    customer_id: str
    kind: KindName
    response: str
    values: Mapping[str, str]
    about: str
    name: str  # the bot records each once
    lease: Leased

    @property
    def expires_at(self) -> datetime:
        return datetime.fromisoformat(self.lease.payload["expires_at"])


async def notify(
    session: AsyncSession,
    customer_id: str,
    kind: KindName,
    values: Mapping[str, str],
    *,
    about: str,
    cause: str,
    at: datetime,
    now: datetime,
) -> bool:
    """Whether there is something new to say: in the caller's transaction it is written down for the customer.

    ``about`` names what it is about ("shipment:ORD12345-S1"), and ``cause`` why it is said, once for each. ``at`` is
    when it happened. What is too old to be worth saying is not, nor is what reaches nobody: it would go to none of
    their accounts.
    """
    rules = KINDS.kinds[kind]
    expires_at = at + rules.worth
    customer_id = await _kept(session, customer_id)
    if expires_at <= now or not await people.heard(session, customer_id):
        return False
    if rules.newest:
        await outbox.withdraw(session, CHANNEL, _order_key(customer_id), about)
    message = outbox.Message(
        channel=CHANNEL,
        recipient=customer_id,
        order_key=_order_key(customer_id),
        kind=kind,
        payload={"values": dict(values), "about": about, "expires_at": expires_at.isoformat()},
        dedupe=f"{kind} {customer_id} {cause}",
        cause=about,
        not_before=KINDS.quiet.ends(now),
        expires_at=expires_at,
    )
    return await outbox.enqueue(session, message, now) is not None


async def due(engine: AsyncEngine, now: datetime) -> Sequence[Notice]:
    """The next notice of some customers, for :data:`LEASE` nobody else's to tell."""
    claimed = await outbox.claim(engine, [CHANNEL], AT_ONCE, LEASE, now, attempts=None)
    return [_notice(each) for each in claimed]


async def decide(session: AsyncSession, notice: Notice, now: datetime) -> Sequence[tuple[str, datetime]] | Outcome:
    """The senders by which the customer can be told, with when each wrote last, the latest first; or how it ends."""
    if resumes := KINDS.quiet.ends(now):
        return Retry("quiet", resumes)
    customer_id = await _kept(session, notice.customer_id)
    if KINDS.kinds[notice.kind].marketing:
        if not await wants_marketing(session, customer_id):
            return Dropped("unsubscribed")
        if await _told_today(session, customer_id, now) >= KINDS.marketing_a_day:
            tomorrow = KINDS.quiet.next_morning(now)
            return Retry("budget", tomorrow) if tomorrow < notice.expires_at else Dropped("budget")
    return await people.heard(session, customer_id) or Dropped("nobody")


async def told(session: AsyncSession, notice: Notice, now: datetime) -> bool:
    """It is on its way by a channel, in the caller's transaction; False if somebody else has it by now."""
    if not await outbox.finish(session, notice.lease, Sent()):
        return False
    if KINDS.kinds[notice.kind].marketing:
        await _count(session, await _kept(session, notice.customer_id), now)
    return True


async def ended(session: AsyncSession, notice: Notice, outcome: Outcome) -> None:
    """It is not on its way, and ends so; in the caller's transaction."""
    await outbox.finish(session, notice.lease, outcome)


# ---- who wants to hear it ----


async def wants_marketing(session: AsyncSession, customer_id: str) -> bool:
    """One who was merged into the customer and did not want any still does not."""
    choice = models.NoticeChoice
    theirs = people.kept(choice.customer_id) == customer_id
    refused = await session.scalar(select(exists().where(theirs, choice.marketing.is_(False))))
    if refused or KINDS.marketing_unasked:
        return not refused
    return bool(await session.scalar(select(exists().where(theirs, choice.marketing.is_(True)))))


async def choose(session: AsyncSession, customer_id: str, marketing: bool, now: datetime) -> None:
    """Whether the customer wants to hear of offers from now on, in the caller's transaction."""
    choice = models.NoticeChoice
    gone = select(models.Merger.gone_id).where(models.Merger.kept_id == customer_id)
    theirs = select(choice).where(or_(choice.customer_id == customer_id, choice.customer_id.in_(gone)))
    for earlier in await session.scalars(theirs):
        earlier.marketing, earlier.changed_at = marketing, now
    new = insert(session, choice).values(customer_id=customer_id, marketing=marketing, changed_at=now, told=0)
    changed = {"marketing": new.excluded.marketing, "changed_at": new.excluded.changed_at}
    await session.execute(new.on_conflict_do_update(index_elements=["customer_id"], set_=changed))


async def _told_today(session: AsyncSession, customer_id: str, now: datetime) -> int:
    choice, today = models.NoticeChoice, now.astimezone(SHANGHAI).date()
    query = select(choice.told).where(choice.customer_id == customer_id, choice.told_on == today)
    return await session.scalar(query) or 0


async def _count(session: AsyncSession, customer_id: str, now: datetime) -> None:
    choice, today = models.NoticeChoice, now.astimezone(SHANGHAI).date()
    earlier = await _told_today(session, customer_id, now)
    new = insert(session, choice).values(customer_id=customer_id, told_on=today, told=earlier + 1)
    changed = {"told_on": new.excluded.told_on, "told": new.excluded.told}
    await session.execute(new.on_conflict_do_update(index_elements=["customer_id"], set_=changed))


# ---- how it is written down ----


def _order_key(customer_id: str) -> str:
    return f"customer:{customer_id}"


async def _kept(session: AsyncSession, customer_id: str) -> str:
    return str(await session.scalar(select(people.kept(literal(customer_id)))))


def _notice(leased: Leased) -> Notice:
    values, kind = leased.payload["values"], cast(KindName, leased.kind)
    by = KINDS.kinds[kind].by
    response = "_".join(["utter_notice", kind, *([values[by]] if by else [])])
    about = leased.payload["about"]
    return Notice(leased.recipient, kind, response, values, about, f"notice-{leased.id}", leased)
