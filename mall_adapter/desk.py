"""The service desk: who waits for a person, who talks with whom, and what the trainers should look at.

Not part of the mall: a foreign mall has no such thing. A hand-off goes waiting → claimed → ended, or is withdrawn while
it waits. What an operator does is written together with the dispatch that takes it through the bot to the customer, so
neither is ever there without the other. Methods that are called again with the same request change nothing.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from itertools import takewhile
from typing import Any, ClassVar

from sqlalchemy import exists, func, or_, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from mall_adapter import complaints, handoffs, models, people, permissions, transcripts
from mall_adapter.actors import HOUSE
from mall_adapter.desk_rules import DeskRules
from mall_adapter.errors import InvalidTransition, NotFound
from mall_adapter.handoff import (
    Complaint,
    ComplaintKind,
    DeskEvent,
    Dispatch,
    Excerpt,
    Exchange,
    Handoff,
    HandoffReason,
    HandoffStatus,
    Line,
    Misunderstood,
    NotOnRecord,
    Update,
)
from mall_adapter.handoffs import CHANNEL, LIVE
from mall_adapter.transactions import Clock, utc_now
from privacy import current_ring
from privacy.columns import Damaged, damaged_as, exact_index
from privacy.conversations import conversation_of
from settings import SHANGHAI
from storage import WRITES, Actor, Command, Event, Role, insert, once, outbox, record

DAMAGED = "（这条内容无法解密，可能被改动过）"
"""What operators see in place of words that do not open."""

AHEAD = 20
"""Updates that are given at once."""

AT_ONCE = 20
"""Senders about whom the bot is told at once."""

LEASE, PAUSE = timedelta(seconds=15), timedelta(seconds=3)
"""How long a gateway has for telling the bot one thing before another may, and until it tries again."""

DEAD = outbox.State.DEAD


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationRated(Event):
    """``subject`` is the hand-off: "handoff:7"."""

    kind: ClassVar[str] = "conversation_rated"
    stars: int


class Desk:
    """Safe to share between tasks. ``hours`` are the first and the last moment of service in Asia/Shanghai, every day
    (``time.max`` for midnight); ``clock`` gives the aware present; ``rules`` are by default those of the house."""

    def __init__(
        self,
        engine: AsyncEngine,
        hours: tuple[time, time],
        clock: Clock = utc_now,
        rules: DeskRules | None = None,
    ) -> None:
        self._engine = engine
        self._rules = rules or DeskRules.load()
        self._reading = async_sessionmaker(engine)
        self._writing = async_sessionmaker(engine.execution_options(**WRITES))
        self._hours = hours
        self._clock = clock

    # ---- when there are people ----

    def opens_at(self) -> datetime | None:
        """When people are back (aware, Asia/Shanghai); None while they are there."""
        opens, closes = self._hours
        now = self._clock().astimezone(SHANGHAI)
        if opens <= now.time() < closes:
            return None
        day = now.date() if now.time() < opens else now.date() + timedelta(days=1)
        return datetime.combine(day, opens, SHANGHAI)

    # ---- the customer's side ----

    async def request(self, sender: str, reason: HandoffReason, idempotency_key: str) -> Handoff:
        """The sender's live hand-off, made if there is none. A key that made one gives that one, even ended."""
        async with self._writing.begin() as session:
            now = self._clock()

            async def enqueue() -> int:
                return (await handoffs.live(session, sender) or await handoffs.enqueue(session, sender, reason, now)).id

            command = Command(sender, idempotency_key, "handoff", {})
            return handoffs.to_handoff(await handoffs.read(session, await once(session, command, int, now, enqueue)))

    async def live(self, sender: str) -> Handoff | None:
        """The sender's hand-off that is waiting or claimed."""
        async with self._reading() as session:
            row = await handoffs.live(session, sender)
            return handoffs.to_handoff(row) if row else None

    async def position(self, handoff: Handoff) -> int:
        """How many others wait before this one; 0 also when it does not wait."""
        if handoff.status is not HandoffStatus.WAITING:
            return 0
        before = select(func.count(models.Handoff.id)).where(
            models.Handoff.status == HandoffStatus.WAITING, models.Handoff.id < handoff.id
        )
        async with self._reading() as session:
            return await session.scalar(before) or 0

    async def withdraw(self, sender: str, idempotency_key: str) -> Handoff | None:
        """The customer no longer waits; None if nobody did. Raises InvalidTransition when it is claimed."""
        async with self._writing.begin() as session:
            now = self._clock()

            async def leave() -> int:
                row = await handoffs.live(session, sender, lock=True)
                if row is None:
                    return 0
                handoffs.require(row, HandoffStatus.WAITING)
                row.status, row.ended_at = HandoffStatus.WITHDRAWN, now
                return row.id

            command = Command(sender, idempotency_key, "withdraw", {})
            left = await once(session, command, int, now, leave)
            return handoffs.to_handoff(await handoffs.read(session, left)) if left else None

    async def rate(self, sender: str, stars: int) -> Handoff | None:
        """Rates (1 to 5, else ValueError) the sender's last hand-off that ended lately; None if there is none.

        A later rating of the same one replaces it.
        """
        if not 1 <= stars <= 5:
            raise ValueError("a rating is 1 to 5 stars")
        ended = handoffs.newest(sender).where(
            models.Handoff.status == HandoffStatus.ENDED, models.Handoff.ended_at >= self._clock() - self._rules.rated
        )
        async with self._writing.begin() as session:
            row = await session.scalar(ended)
            if row is None:
                return None
            row.stars = stars
            by, now = await people.actor_of(session, sender), self._clock()
            record(session, ConversationRated(subject=f"handoff:{row.id}", stars=stars), by, now)
            return handoffs.to_handoff(row)

    async def updates(self, sender: str, after: int | None = None) -> tuple[bool, Sequence[Update]]:
        """Whether more may come, and what the desk has for the customer after position ``after``, in order.

        Without ``after``: everything of the last hand-off, unless it ended too long ago to be shown again.
        """
        row, sent = models.DeskUpdate, outbox.Outbox
        query = select(row, sent.state).join(sent, sent.id == row.outbox_id).order_by(row.position)
        query = query.where(row.sender_index == models.sender_index(sender))
        async with self._reading() as session, _going_on():
            last = await session.scalar(handoffs.newest(sender))
            if last is None:
                return False, []
            live = last.status in LIVE
            if after is not None:
                query = query.where(row.position > after).limit(AHEAD)
            elif live or (last.ended_at and last.ended_at > self._clock() - self._rules.shown_again):
                query = query.where(row.handoff_id == last.id)
            else:
                return live, []
            rows = (await session.execute(query)).all()
            # one that the bot has not recorded yet holds back what follows it, unless it never will
            ready = list(takewhile(lambda each: each[0].messages is not None or each.state is DEAD, rows))
            more = live or len(ready) < len(rows) or len(rows) == AHEAD
            return more, [Update(each.position, each.event, _loaded(each.messages)) for each, _ in ready]

    async def history(self, sender: str, after: int | None = None) -> tuple[bool, Sequence[Exchange], int]:
        """Whether more comes by itself, what was said from event ``after`` on, and where to go on.

        Without ``after``: the present session as far as it is shown again, unless its last word is too old for that.
        """
        who, row, coming, sent = models.sender_index(sender), models.Handoff, models.DeskUpdate, outbox.Outbox
        talk = models.LeadTalk
        live = exists().where(row.sender_index == who, row.status.in_(LIVE))
        talks = exists().where(talk.sender_index == who, talk.ended_at.is_(None))
        unrecorded = exists().where(
            coming.sender_index == who, coming.messages.is_(None), sent.id == coming.outbox_id, sent.state != DEAD
        )
        async with self._reading() as session:
            # asked first: what the bot records in between is then in the conversation
            more = bool(await session.scalar(select(or_(live, talks, unrecorded))))
            said, after, unread = await transcripts.exchanges(
                session, sender, after, self._clock(), self._rules.shown_again
            )
            return more or unread, said, after

    async def reads(self, sender: str, position: int) -> Handoff | None:
        """The sender has seen the events before ``position`` of their conversation: kept while a person is asked for or
        talks, who is to see it. None if nobody is."""
        async with self._writing.begin() as session:
            row = await handoffs.live(session, sender, lock=True)
            if row is not None:
                row.read_by_customer = max(row.read_by_customer or 0, position)
            return handoffs.to_handoff(row) if row else None

    # ---- the operator's side; every one raises NotPermitted for whom it is not, and NotFound for an unknown id ----

    async def operator(self, name: str, channel: str) -> Actor:
        """The operator of this name. The caller has seen to it that somebody who may use the desk gives it."""
        async with self._writing.begin() as session:
            now = self._clock()
            principal_id = await people.colleague(session, name, now)
            await people.grant(session, principal_id, Role.OPERATOR, None, HOUSE, now)
        return Actor(Role.OPERATOR, principal_id, channel=channel)

    async def holds(self, actor: Actor) -> bool:
        """Whether they have the role in which they act."""
        async with self._reading() as session:
            return await people.holds(session, actor)

    async def handoff(self, handoff_id: int) -> Handoff:
        async with self._reading() as session:
            return handoffs.to_handoff(await handoffs.read(session, handoff_id))

    async def open_handoffs(self) -> Sequence[Handoff]:
        """Those that wait or are claimed, the longest waiting first."""
        query = select(models.Handoff).where(models.Handoff.status.in_(LIVE)).order_by(models.Handoff.id)
        async with self._reading() as session, _going_on():
            return [handoffs.to_handoff(row) for row in (await session.scalars(query)).all()]

    async def claim(self, actor: Actor, handoff_id: int) -> Handoff:
        """Raises InvalidTransition when it is not waiting, unless this operator has claimed it, or somebody talks in
        a chat of their own: then it is the operator's from now on."""
        permissions.check(actor, "claim")
        async with self._writing.begin() as session:
            operator = await people.name_of(session, actor)
            row = await handoffs.read(session, handoff_id, lock=True)
            mine = (HandoffStatus.CLAIMED, operator, False)
            if (row.status, row.operator, row.in_chat) != mine:
                if not _talks_in_chat(row):
                    handoffs.require(row, HandoffStatus.WAITING)
                await handoffs.claim(session, row, operator, self._clock())
            return handoffs.to_handoff(row)

    async def say(self, actor: Actor, handoff_id: int, text: str, message_id: str) -> Handoff:
        """An operator's words for the customer. Raises InvalidTransition when it is not claimed at the desk."""
        permissions.check(actor, "say")
        async with self._writing.begin() as session:
            row = await handoffs.read(session, handoff_id, lock=True)
            if _talks_in_chat(row):
                raise InvalidTransition(f"hand-off {row.id} is claimed in a chat")
            await handoffs.say(session, row, text, message_id, self._clock())
            return handoffs.to_handoff(row)

    async def attend(self, actor: Actor, handoff_id: int, position: int | None = None) -> Handoff:
        """The operator who has claimed it is there, and has seen the events before ``position``. Raises
        InvalidTransition for anybody else."""
        permissions.check(actor, "say")
        async with self._writing.begin() as session:
            row = await handoffs.read(session, handoff_id, lock=True)
            mine = (HandoffStatus.CLAIMED, False, await people.name_of(session, actor))
            if (row.status, row.in_chat, row.operator) != mine:
                raise InvalidTransition(f"hand-off {row.id} is not the operator's")
            if position is not None:
                row.read_by_person = max(row.read_by_person or 0, position)
            return handoffs.to_handoff(row)

    async def hand_back(self, actor: Actor, handoff_id: int, resolved: bool) -> Handoff:
        """Ends it, and the bot talks again. Raises InvalidTransition when it is not claimed."""
        permissions.check(actor, "hand_back")
        async with self._writing.begin() as session:
            row = await handoffs.read(session, handoff_id, lock=True)
            if (row.status, row.resolved) != (HandoffStatus.ENDED, resolved):
                await handoffs.hand_back(session, row, resolved, self._clock())
            return handoffs.to_handoff(row)

    async def transcript(self, sender: str, after: int | None = None) -> tuple[Sequence[Line], int]:
        """The lines of the conversation from event ``after`` on (None: of its last turns), and where to go on."""
        async with self._reading() as session:
            return await transcripts.read(session, sender, after)

    async def look_into(self, actor: Actor, conversation: str, before: int | None = None) -> Excerpt:
        """The last turns of a conversation (``privacy.conversations.conversation_of``) before event ``before``.

        Raises NotFound. Who looks is on record before anything is read; else it raises NotOnRecord.
        """
        permissions.check(actor, "look_into")
        try:
            async with self._writing.begin() as session:
                name = await people.name_of(session, actor)
                viewings = await transcripts.note_view(session, conversation, name, self._clock())
        except (SQLAlchemyError, OSError) as error:
            raise NotOnRecord(f"a look into a conversation was refused: {type(error).__name__}") from error
        async with self._reading() as session:
            first, events = await transcripts.excerpt(session, conversation, before)
            with damaged_as(DAMAGED):
                speaker = await people.speaker(session, conversation)
        return Excerpt(first, events, viewings, speaker)

    # ---- on the way to the customer ----

    async def unsent(self, sender: str) -> Sequence[str]:
        """The operator's words that the bot has not recorded yet, in their order."""
        async with self._reading() as session:
            coming = await outbox.waiting(session, CHANNEL, sender)
        return [str(each["text"]) for each in coming if each["event"] == DeskEvent.SAID]

    async def dispatches(self, sender: str | None = None) -> Sequence[Dispatch]:
        """What the bot is to be told now, the next of each sender (or of one), and for :data:`LEASE` nobody else's to
        tell. Each is ended by :meth:`delivered` or :meth:`not_delivered`."""
        engine, now = self._engine, self._clock()
        claimed = await outbox.claim(engine, [CHANNEL], AT_ONCE, LEASE, now, order_key=sender, attempts=None)
        return [
            Dispatch(
                each.recipient,
                int(each.payload["position"]),
                DeskEvent(each.payload["event"]),
                str(each.payload["message_id"]),
                str(each.payload["text"]),
                each,
            )
            for each in claimed
        ]

    async def delivered(
        self,
        dispatch: Dispatch,
        messages: Sequence[dict[str, object]],
        onward: Callable[[AsyncSession], Awaitable[None]] | None = None,
    ) -> None:
        """The bot has recorded it, and gave ``messages`` for the customer; ``onward`` takes them, in the same
        transaction, to where they do not ask for them."""
        row, who = models.DeskUpdate, models.sender_index(dispatch.sender)
        shown = update(row).where(row.sender_index == who, row.position == dispatch.position)
        async with self._writing.begin() as session:
            if await outbox.finish(session, dispatch.lease, outbox.Sent()):  # else another gateway has it, and tells it
                await session.execute(shown.values(messages=json.dumps(list(messages), ensure_ascii=False)))
                if onward:
                    await onward(session)

    async def not_delivered(self, dispatch: Dispatch, error_class: str) -> None:
        """It is tried again in a moment: the bot may have recorded it or not, and records it once."""
        async with self._writing.begin() as session:
            await outbox.finish(session, dispatch.lease, outbox.Retry(error_class, self._clock() + PAUSE))

    # ---- complaints ----

    async def note_complaint(
        self,
        sender: str,
        kind: ComplaintKind,
        words: str,
        message_id: str,
        *,
        order_id: str | None = None,
        enquiry: bool = False,
    ) -> None:
        """Notes what the sender complains of, a message once; ``enquiry``: they want the courier to be asked."""
        conversation = conversation_of(current_ring(), sender)
        index = exact_index(f"{sender} {message_id}", "complaint.message")
        async with self._writing.begin() as session:
            now = self._clock()
            await complaints.note(session, conversation, kind, words, index, now, order_id=order_id, enquiry=enquiry)

    async def complaints(self, limit: int = 50) -> Sequence[Complaint]:
        """Those that nobody has dealt with, the newest first."""
        async with self._reading() as session, _going_on():
            return await complaints.newest(session, limit)

    async def settle_complaint(self, actor: Actor, complaint_id: int) -> None:
        """An operator has dealt with it. Raises NotFound."""
        permissions.check(actor, "settle_complaint")
        async with self._writing.begin() as session:
            await complaints.settle(session, complaint_id, self._clock())

    # ---- the trainers' queue ----

    async def note_misunderstood(
        self, sender: str, text: str, guesses: Sequence[tuple[str, float]], message_id: str
    ) -> None:
        """Notes a message that the bot could not place, once; ``guesses`` are the likeliest intents."""
        row = {
            "message_index": exact_index(f"{sender} {message_id}", "misunderstood.message"),
            "conversation": conversation_of(current_ring(), sender),
            "text": text,
            "guesses": json.dumps([[name, round(float(confidence), 3)] for name, confidence in guesses]),
            "noted_at": self._clock(),
        }
        async with self._writing.begin() as session:
            await session.execute(insert(session, models.Misunderstood).values(row).on_conflict_do_nothing())

    async def misunderstood(self, limit: int = 50, *, settled: bool = False) -> Sequence[Misunderstood]:
        """The newest first."""
        row = models.Misunderstood
        query = select(row).where(row.settled_at.is_not(None) if settled else row.settled_at.is_(None))
        async with self._reading() as session, _going_on():
            rows = (await session.scalars(query.order_by(row.id.desc()).limit(limit))).all()
        return [
            Misunderstood(
                each.id,
                each.text,
                [(str(name), float(confidence)) for name, confidence in _loaded(each.guesses)],
                each.noted_at,
                each.settled_at,
                each.intent,
                each.conversation,
            )
            for each in rows
        ]

    async def settle(self, actor: Actor, misunderstood_id: int, intent: str | None = None) -> None:
        """A trainer has dealt with it. Raises NotFound."""
        permissions.check(actor, "settle")
        async with self._writing.begin() as session:
            row = await session.get(models.Misunderstood, misunderstood_id)
            if row is None:
                raise NotFound(f"no misunderstood message {misunderstood_id}")
            row.settled_at, row.intent = self._clock(), intent


def _talks_in_chat(row: models.Handoff) -> bool:
    return row.status is HandoffStatus.CLAIMED and row.in_chat


@asynccontextmanager
async def _going_on() -> AsyncIterator[None]:
    """In a list one value that does not open is told, and the others are shown."""
    with damaged_as(DAMAGED):
        yield


def _loaded(text: str | None) -> list[Any]:
    """From JSON; nothing where it does not open."""
    loaded: list[Any] = [] if text is None or isinstance(text, Damaged) else json.loads(text)
    return loaded
