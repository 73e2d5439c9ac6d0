"""A salesperson takes a lead's conversation over from a chat of their own.

It is a hand-off like any other (:mod:`mall_adapter.handoffs`): the bot is silent for the lead, what is said goes
through it to them, and the desk sees it and may take it over. What the lead says is passed on to whoever talks, by the
connectors, from a place in the conversation that is kept: nothing is lost, and the bot tells each once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from mall_adapter import handoffs, models, people, transcripts
from mall_adapter.errors import InPublic, InvalidTransition, NotFound, NotPermitted
from mall_adapter.handoff import HandoffReason, HandoffStatus
from mall_adapter.leads import telling
from mall_adapter.leads.owners import Owners, owners_of
from mall_adapter.models.leads import LeadStage, TalkEnding
from storage import WRITES, insert

COMMAND = "reach_lead"
"""Of :data:`mall_adapter.permissions.MAY`."""

SETTLED = (LeadStage.CONVERTED, LeadStage.LOST)

AT_ONCE = 50
"""Talks that are looked at together."""

ENDED = {
    TalkEnding.TAKEN: "utter_notice_lead_taken",
    TalkEnding.TIMED_OUT: "utter_notice_lead_timed_out",
    TalkEnding.CUT_OFF: "utter_notice_lead_cut_off",
}
"""What whoever talked is told; who has given it back was told at once."""

SAID = "utter_notice_lead_says"


class Talking(InvalidTransition):
    """They are talking with somebody else, who is called ``who`` (None: nobody knows)."""

    def __init__(self, who: str | None) -> None:
        super().__init__("talks with another lead")
        self.who = who


@dataclass(frozen=True, slots=True)
class Talk:
    who: str | None  # the lead's name; None: nobody knows
    signed: str  # as whom the lead hears them


@dataclass(frozen=True, slots=True)
class News:
    """What somebody who talks is to hear: responses of the bot, each under a name that stays, and where to go on."""

    talk_id: int
    sender: str
    said: Sequence[tuple[str, str, Mapping[str, str]]]  # (name, response, values)
    since: int  # events of the conversation that had been passed on
    position: int
    over: bool


# ---- what whoever talks does ----


async def take(session: AsyncSession, sender: str, lead_id: int, now: datetime) -> Talk:
    """The lead's conversation is the sender's from now on. Raises NotPermitted, InPublic, NotFound, Talking, and
    InvalidTransition while somebody else has it."""
    owners = await owners_of(session, sender, COMMAND)
    lead = await session.scalar(_theirs(owners).where(models.Lead.id == lead_id))
    if lead is None or (reached := await _account(session, lead.person)) is None:
        raise NotFound(f"no lead {lead_id} who has written")
    who = await _name(session, lead.person)
    signed = await _signed(session, owners, lead)
    if (mine := await _live(session, sender)) is not None:
        row = await handoffs.read(session, mine.handoff_id)
        if row.sender == reached:
            return Talk(who, signed)
        raise Talking(await _name(session, mine.person))
    row = await handoffs.live(session, reached, lock=True) or await handoffs.enqueue(
        session, reached, HandoffReason.LEAD, now
    )
    handoffs.require(row, HandoffStatus.WAITING)
    _, position = await transcripts.read(session, reached, None)
    new = insert(session, models.LeadTalk).values(
        handoff_id=row.id,
        lead_id=lead.id,
        person=lead.person,
        principal_id=owners.actor.principal_id,
        sender=sender,
        sender_index=models.sender_index(sender),
        position=position,
        heard_at=now,
    )
    if await session.scalar(new.on_conflict_do_nothing().returning(models.LeadTalk.id)) is None:
        raise InvalidTransition("somebody was faster")
    await handoffs.claim(session, row, signed, now, in_chat=True)
    return Talk(who, signed)


async def say(session: AsyncSession, sender: str, text: str, message_id: str, now: datetime) -> Talk:
    """To the lead. Raises NotFound if they talk with nobody (any more), NotPermitted, InPublic."""
    if (talk := await _live(session, sender)) is None or not await _may(session, talk):
        raise NotFound("talks with nobody")
    row = await handoffs.read(session, talk.handoff_id, lock=True)
    await handoffs.say(session, row, text, f"talk-{talk.id}-{message_id}", now)
    talk.heard_at = now
    return Talk(await _name(session, talk.person), row.operator or "")


async def give_back(session: AsyncSession, sender: str, now: datetime) -> Talk | None:
    """The bot goes on with the lead; None if they talk with nobody."""
    if (talk := await _live(session, sender)) is None:
        return None
    row = await handoffs.read(session, talk.handoff_id, lock=True)
    await handoffs.hand_back(session, row, True, now, TalkEnding.GIVEN_BACK)
    return Talk(await _name(session, talk.person), row.operator or "")


async def numbers(session: AsyncSession, sender: str, persons: Sequence[str]) -> Mapping[str, int]:
    """By which those of these persons are taken who are leads of the sender's and have written; nobody else is. Raises
    NotPermitted, InPublic."""
    owners, lead = await owners_of(session, sender, COMMAND), models.Lead
    theirs = _theirs(owners).where(lead.person.in_(persons))
    found = (await session.scalars(theirs)).all()
    return {one.person: one.id for one in found if await _account(session, one.person)}


async def warm(session: AsyncSession, sender: str, most: int) -> Sequence[tuple[int, str | None]]:
    """Leads of whom the sender was told and who can be talked with, the latest first, with their names. Raises
    NotPermitted, InPublic."""
    owners, lead = await owners_of(session, sender, COMMAND), models.Lead
    told = _theirs(owners).where(lead.told.is_not(None), lead.stage.not_in(SETTLED))
    found = (await session.scalars(told.order_by(lead.last_at.desc(), lead.id).limit(3 * most))).all()
    reached = [one for one in found if await _account(session, one.person)][:most]
    names = await telling.names_of(session, [one.person for one in reached])
    return [(one.id, names.get(one.person)) for one in reached]


# ---- what they are to hear, for the connectors ----


async def due(engine: AsyncEngine, idle: timedelta, now: datetime) -> Sequence[News]:
    """What is to be told to those who talk. A talk in which nobody has said anything for ``idle``, or whose talker may
    not talk any more, ends here. Any number may ask; what they tell counts by :func:`told`."""
    talk = models.LeadTalk
    query = select(talk).where(talk.told_at.is_(None)).order_by(talk.id).limit(AT_ONCE)
    async with AsyncSession(engine) as session:
        talks = (await session.scalars(query)).all()
        over = [(one.id, ending) for one in talks if (ending := await _ending(session, one, idle, now))]
    for talk_id, ending in over:
        async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
            one = await session.get_one(talk, talk_id)
            row = await handoffs.read(session, one.handoff_id, lock=True)
            await session.refresh(one)
            if one.ended_at is None:
                await handoffs.hand_back(session, row, False, now, ending)
    if not talks:
        return []
    async with AsyncSession(engine) as session:
        talks = (await session.scalars(query)).all()
        return [await _news(session, one, now) for one in talks]


async def told(session: AsyncSession, news: News, now: datetime) -> bool:
    """It is on its way, in the caller's transaction; False if somebody else has told it by now."""
    talk = models.LeadTalk
    values = {"position": news.position} | ({"told_at": now} if news.over else {})
    if any(response == SAID for _, response, _ in news.said):
        values["heard_at"] = now
    mine = update(talk).where(talk.id == news.talk_id, talk.position == news.since, talk.told_at.is_(None))
    return await session.scalar(mine.values(values).returning(talk.id)) is not None


async def _ending(session: AsyncSession, talk: models.LeadTalk, idle: timedelta, now: datetime) -> TalkEnding | None:
    if talk.ended_at is not None:
        return None
    if not await _may(session, talk):
        return TalkEnding.CUT_OFF
    return TalkEnding.TIMED_OUT if talk.heard_at < now - idle else None


async def _news(session: AsyncSession, talk: models.LeadTalk, now: datetime) -> News:
    """What was said before the bot went on, or the desk, is still theirs to hear."""
    row = await handoffs.read(session, talk.handoff_id)
    exchanges, position, _ = await transcripts.exchanges(session, row.sender, talk.position, now, timedelta())
    who = await _name(session, talk.person)
    values = telling.named(who) | {"lead": str(talk.lead_id)}
    said: list[tuple[str, str, Mapping[str, str]]] = []
    over = False
    for one in exchanges:
        if talk.ended_at is not None and one.id in handoffs.ends_of(row):
            over = True
            break
        if one.text is not None and not one.text.startswith("/"):
            said.append((f"lead-{talk.id}-{one.position}", SAID, values | {"words": one.text}))
    if talk.ending is TalkEnding.CUT_OFF:
        said, over = [], True
    if over and talk.ending in ENDED:
        said.append((f"lead-{talk.id}-over", ENDED[talk.ending], values))
    return News(talk.id, talk.sender, said, talk.position, position, over)


# ---- who is who ----


def _theirs(owners: Owners) -> Select[models.Lead]:
    return select(models.Lead).where(models.Lead.principal_id.in_(owners.ids))


async def _live(session: AsyncSession, sender: str) -> models.LeadTalk | None:
    talk, mine = models.LeadTalk, models.sender_index(sender)
    found: models.LeadTalk | None = await session.scalar(
        select(talk).where(talk.sender_index == mine, talk.ended_at.is_(None))
    )
    return found


async def _may(session: AsyncSession, talk: models.LeadTalk) -> bool:
    """Whether the account is still theirs, and the lead still for them; one that was forgotten is nobody's."""
    try:
        owners = await owners_of(session, talk.sender, COMMAND)
    except (NotPermitted, InPublic):
        return False
    same = owners.actor.principal_id == talk.principal_id
    return same and await session.scalar(_theirs(owners).where(models.Lead.person == talk.person)) is not None


async def _account(session: AsyncSession, person: str) -> str | None:
    """The sender by which the lead wrote last; nobody is written to in a group."""
    account, visitor = models.ChannelAccount, models.CardVisitor
    kind, _, which = person.partition(":")
    if kind == "customer":
        senders = [sender for sender, _ in await people.heard(session, which)]
    else:
        query = (
            select(account.sender)
            .join(visitor, visitor.sender_index == account.sender_index)
            .where(visitor.person == person, account.sender.is_not(None), account.heard_at.is_not(None))
            .order_by(account.heard_at.desc())
        )
        senders = [str(each) for each in await session.scalars(query)]
    return next((sender for sender in senders if not people.in_public(sender)), None)


async def _name(session: AsyncSession, person: str) -> str | None:
    return (await telling.names_of(session, [person])).get(person)


async def _signed(session: AsyncSession, owners: Owners, lead: models.Lead) -> str:
    """As the lead knows them: by the card that they opened; somebody else by the name that colleagues use."""
    card = models.Card
    if lead.principal_id == owners.actor.principal_id:
        newest = select(card.name).where(card.principal_id == lead.principal_id).order_by(card.made_at.desc()).limit(1)
        if name := await session.scalar(newest):
            return str(name)
    return await people.name_of(session, owners.actor)
