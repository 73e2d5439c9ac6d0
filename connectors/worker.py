"""Takes messages out of the inbox, one of each sender at a time and in order, to the bot, and its answer to the outbox.

The answer is written in the transaction that settles the message: neither is ever there without the other. A worker
that dies leaves a lease that runs out; the next one asks the bot under the same message id, which gives the answer that
it gave before.
"""

from __future__ import annotations

import asyncio
import logging
import random
import traceback
import unicodedata
from collections import ChainMap
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial

from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from connectors import choices
from connectors.bot_client import BotClient, BotUnavailable
from connectors.channel import Channel, Gone, MediaUnavailable
from connectors.delivery import ANSWERS, BUBBLE
from connectors.inbound import Inbound, Media
from connectors.leases import LEASE, TROUBLE, keep_renewing
from connectors.media import MediaStore, TooLarge
from connectors.messages import MAX_TEXT, BotMessage, InboundMessage, Reply, shows
from connectors.portraits import take_portrait
from connectors.rendering import Bubble, Rendered, render
from connectors.words import WORDS
from mall_adapter import Accounts, Desk
from mall_adapter.cards import Cards
from mall_adapter.handoff import HandoffStatus
from privacy import KeyRingError
from storage import WRITES, inbox, outbox
from storage.inbox import Dead, Done, Known, Leased, Retry
from storage.outbox import Message, State

log = logging.getLogger(__name__)

RECEIPTS = WORDS.receipts

AT_ONCE = 32
"""Messages at the bot."""

PAUSE = 1.0
"""Seconds between looks for what another process has left, or what is due now."""

PARTING = 3.0
"""Seconds for what is worked on when the process ends."""

GIVEN_UP = timedelta(minutes=15)
"""After which a message that the bot could not take is dead, and the customer is asked to send it again."""

SOON = 8.0
"""Seconds after which a customer hears that it takes a moment."""

STALE = timedelta(hours=24)
"""After which an answer that could not be sent is not sent any more."""

FETCHED = 15.0
"""Seconds for one content."""

UNWRITTEN = (*TROUBLE, KeyRingError)

INBOUND = TypeAdapter(Inbound)
RENDERED_EMPTY = Rendered((), (), {})


class Worker:
    def __init__(
        self,
        engine: AsyncEngine,
        bot: BotClient,
        desk: Desk,
        media: MediaStore,
        channels: Mapping[str, Channel],
        comers: Collection[str],
        sent: Callable[[], None],
        *,
        lease: timedelta = LEASE,
        given_up: timedelta = GIVEN_UP,
    ) -> None:
        """``comers`` are channels whose people come for their answers; ``sent`` is called when something waits for one
        of the others."""
        self._engine = engine
        self._reading = async_sessionmaker(engine)
        self._writing = async_sessionmaker(engine.execution_options(**WRITES))
        self._bot = bot
        self._desk = desk
        self._media = media
        self._accounts = Accounts(engine)
        self._cards = Cards(engine)
        self._channels = channels
        self._comers = comers
        self._sent = sent
        self._lease = lease
        self._given_up = given_up
        self._working: dict[int, Leased] = {}
        self._asked: dict[int, Leased] = {}  # of those who wait for their answers
        self._tasks: set[asyncio.Task[None]] = set()
        self._settling: dict[str, asyncio.Task[None]] = {}  # the last of those who wait, by sender
        self._behind: set[str] = set()  # senders of whom something waits for what is worked on
        self._wake = asyncio.Event()
        self._settled: dict[str, asyncio.Event] = {}  # by the name of a message that somebody waits for

    # ---- what channels are given ----

    async def receive(self, inbound: Inbound) -> bool:
        """See :data:`connectors.channel.Receive`."""
        now = datetime.now(UTC)
        lease = self._lease if len(self._working) < AT_ONCE else None
        async with self._writing.begin() as session:
            accepted = await inbox.accept(session, message_of(inbound), now, lease)
            if not isinstance(accepted, Known):
                await outbox.release(session, inbound.channel, inbound.sender, inbound.reply_until or now)
        match accepted:
            case Known():
                return False
            case Leased():
                self._start(accepted)
            case _:
                self._behind.add(inbound.sender)
        return True

    async def answer(self, inbound: Inbound, seconds: float, gone: Gone) -> Sequence[Bubble] | None:
        """See :data:`connectors.channel.Answer`."""
        name = _name(inbound)
        settled = self._settled.setdefault(name, asyncio.Event())
        try:
            async with asyncio.timeout(seconds):
                while True:
                    async with self._reading() as session:
                        known = await inbox.find(session, inbound.channel, name)
                    if known and known.state in (State.DONE, State.DEAD):
                        break
                    with suppress(TimeoutError):  # another process may settle it
                        await asyncio.wait_for(settled.wait(), 0.25)
        except TimeoutError:
            return None
        finally:
            self._settled.pop(name, None)
        async with self._writing() as session:
            taken = await outbox.take(
                session, inbound.channel, inbound.sender, ANSWERS, f"reply:{known.id}", datetime.now(UTC)
            )
            if await gone():
                return None  # and nothing is written
            await session.commit()
        return [BUBBLE.validate_python(each) for each in taken]

    # ---- what the gateway is given ----

    async def turn(self, inbound: Inbound) -> Reply:
        """The bot's answer to the message of somebody who waits for it. Raises BotUnavailable: then the message is
        settled, too, and whoever was told may send it again under its id.

        It is written down while the bot is asked, and settled behind the answer, as nobody is told anything before:
        who waits need not wait for that. Where nothing can be written, the bot is asked all the same.
        """
        written = asyncio.create_task(self._written(inbound, self._settling.get(inbound.sender)))
        told = True
        try:
            return await self._ask(inbound, inbound.text or "")
        except asyncio.CancelledError:
            told = False
            raise
        finally:
            settling = self._settling[inbound.sender] = asyncio.create_task(self._settle(written, told))
            self._tasks.add(settling)
            settling.add_done_callback(partial(self._is_settled, inbound.sender))

    def _is_settled(self, sender: str, settling: asyncio.Task[None]) -> None:
        self._tasks.discard(settling)
        if self._settling.get(sender) is settling:
            del self._settling[sender]

    async def _written(self, inbound: Inbound, before: asyncio.Task[None] | None) -> Leased | None:
        """Once the sender's message ``before`` is settled; the account is kept behind it. None for what is known, is
        behind one that a gateway which died has left, or could not be written."""
        if before:
            await asyncio.wait({before})
        try:
            async with self._writing.begin() as session:
                accepted = await inbox.accept(session, message_of(inbound), datetime.now(UTC), self._lease)
        except UNWRITTEN as error:
            log.warning("a message was not written down: %s", type(error).__name__)
            return None
        if isinstance(accepted, Leased):
            self._asked[accepted.id] = accepted
        await self._accounts.meet(inbound.sender)
        return accepted if isinstance(accepted, Leased) else None

    async def _settle(self, written: asyncio.Task[Leased | None], told: bool) -> None:
        """``told``: somebody has the answer; else another worker takes the message when its lease is over."""
        if (accepted := await written) is None:
            return
        del self._asked[accepted.id]
        if told:
            try:
                async with self._writing.begin() as session:
                    await inbox.finish(session, accepted, Done())
            except UNWRITTEN as error:
                log.warning("a message is worked on again when its lease is over: %s", type(error).__name__)

    async def onward(self, session: AsyncSession, sender: str, name: str, messages: Sequence[BotMessage]) -> None:
        """Sends what the bot says by itself by the sender's channel, in the caller's transaction; ``name`` names it
        among all for the sender. Whoever comes for it is sent nothing."""
        channel_name, _, account = sender.partition(":")
        if (channel := self._channels.get(channel_name)) is None:
            return
        key, now = choices.new_key(), datetime.now(UTC)
        rendered = render(messages, channel.capabilities, key)
        for number, bubble in enumerate(rendered.bubbles):
            message = Message(
                channel=channel_name,
                recipient=account,
                order_key=sender,
                kind="desk",
                payload=asdict(bubble),
                dedupe=f"{sender} {name}-{number}",
            )
            await outbox.enqueue(session, message, now)
        await choices.keep(session, sender, key, rendered, now)

    # ---- work ----

    async def keep_working(self) -> None:
        """Until cancelled; what is then worked on has a moment to end, and is left to another process otherwise."""
        held = ChainMap(self._working, self._asked)
        renewing = asyncio.create_task(keep_renewing(self._engine, held, self._lease, inbox.renew))
        try:
            while True:
                self._wake.clear()
                try:
                    await self._claim()
                except TROUBLE as error:
                    log.warning("what was sent to us waits (%s)", type(error).__name__)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), PAUSE)
        finally:
            if tasks := set(self._tasks):
                _, late = await asyncio.wait(tasks, timeout=PARTING)
                for task in late:
                    task.cancel()
            renewing.cancel()

    async def _claim(self) -> None:
        room = AT_ONCE - len(self._working)
        if room <= 0:
            return
        names = [*self._channels, *self._comers]
        held = [*self._working, *self._asked]
        for leased in await inbox.claim(self._engine, names, room, self._lease, datetime.now(UTC), held=held):
            self._start(leased)
        self._behind &= {_sender(each) for each in self._working.values()}

    def _start(self, leased: Leased) -> None:
        self._working[leased.id] = leased
        task = asyncio.create_task(self._work(leased))
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, leased))

    def _ended(self, leased: Leased, task: asyncio.Task[None]) -> None:
        del self._working[leased.id]
        self._tasks.discard(task)
        if _sender(leased) in self._behind or len(self._working) >= AT_ONCE - 1:
            self._wake.set()
        if not task.cancelled() and (error := task.exception()):
            log.error("a message is worked on again when its lease is over: %s", type(error).__name__)

    async def _work(self, leased: Leased) -> None:
        inbound = INBOUND.validate_python(leased.payload)
        soon = asyncio.create_task(self._tell_soon(leased, inbound))
        try:
            try:
                messages, answers = await self._said(inbound)
            finally:
                soon.cancel()
        except TROUBLE:
            raise  # nothing could be written, either
        except Exception as error:
            await self._failed(leased, inbound, error)
        else:
            await self._done(leased, inbound, messages, answers)
        if event := self._settled.get(_name(inbound)):
            event.set()

    async def _said(self, inbound: Inbound) -> tuple[Sequence[BotMessage], bool]:
        """What the customer is to see, and whether it is the bot's answer. Raises BotUnavailable."""
        if inbound.event is not None:
            if inbound.event == "left":
                await self._accounts.lose(inbound.sender)
            else:
                await self._accounts.meet(inbound.sender)
            scene = inbound.data.get("scene")
            own = await self._cards.open(scene, inbound.sender, {}) if scene else None
            if own and (copy := await self._cards.look(own)):
                text = RECEIPTS.came_by_card.format(name=copy.face.name)
                return [BotMessage(text=text, image=f"/c/{copy.token}.png")], False
            return ([BotMessage(text=RECEIPTS.welcome)] if inbound.event == "joined" else []), False
        text = _readable(inbound.text)
        if len(text) > MAX_TEXT:
            return [BotMessage(text=RECEIPTS.too_long)], False
        async with self._reading() as session:
            now = datetime.now(UTC)
            if inbound.choice is not None:
                payload = await choices.redeem(session, inbound.sender, inbound.choice, now)
                if payload is None:
                    return [BotMessage(text=RECEIPTS.expired)], False
            else:
                payload = await choices.pick(session, inbound.sender, text, now) if text else None
        await self._accounts.meet(inbound.sender)
        receipts = [await self._kept(inbound, number, one) for number, one in enumerate(inbound.media)]
        if payload or text:
            return (await self._ask(inbound, payload or text)).messages, True
        if inbound.media and await self._talks_with_a_person(inbound.sender):
            marks = "".join(WORDS.marks[one.kind] for one in inbound.media)
            return (await self._ask(inbound, marks)).messages, True
        return [BotMessage(text=text) for text in dict.fromkeys(receipts)], False

    async def _ask(self, inbound: Inbound, text: str) -> Reply:
        message = InboundMessage(inbound.sender, inbound.message_id, text, inbound.data.get("address"))
        return await self._bot.send(message)

    async def _talks_with_a_person(self, sender: str) -> bool:
        handoff = await self._desk.live(sender)
        return handoff is not None and handoff.status is HandoffStatus.CLAIMED

    async def _kept(self, inbound: Inbound, number: int, media: Media) -> str:
        """Keeps it for the person at the desk; what is said of it."""
        origin, content = f"{inbound.message_id} {number}", None
        try:
            if media.handle is not None and media.kind not in ("sticker", "location", "contact"):
                async with asyncio.timeout(FETCHED):
                    content = await self._channels[inbound.channel].fetch(media)
            await self._media.keep(inbound.sender, origin, media.kind, content, name=media.name, place=media.place)
            if media.kind == "picture" and content and await take_portrait(self._cards, inbound.sender, content):
                return RECEIPTS.portrait
        except (MediaUnavailable, TooLarge, TimeoutError) as error:
            log.warning("a %s was not kept: %s", media.kind, type(error).__name__)
            return RECEIPTS.unkept
        return RECEIPTS.media[media.kind]

    # ---- how it ends ----

    async def _done(self, leased: Leased, inbound: Inbound, messages: Sequence[BotMessage], answers: bool) -> None:
        channel, key, now = self._channels.get(inbound.channel), choices.new_key(), datetime.now(UTC)
        rendered = render(messages, channel.capabilities, key) if channel else RENDERED_EMPTY
        async with self._writing.begin() as session:
            if not await inbox.finish(session, leased, Done()):
                return  # another worker has it, and gives the same answer
            await self._enqueue(session, leased, inbound, rendered.bubbles, "answer", now)
            if answers and channel:
                await choices.keep(session, inbound.sender, key, rendered, now)
        if rendered.bubbles:
            self._sent()

    async def _failed(self, leased: Leased, inbound: Inbound, error: Exception) -> None:
        """It is tried again in a moment, or given up, and the customer hears of it."""
        now = datetime.now(UTC)
        if isinstance(error, BotUnavailable):
            log.warning("turn %s: the bot is asked later (%s)", inbound.message_id, error)
        else:  # its text may quote a customer
            place = traceback.extract_tb(error.__traceback__)[-1]
            log.error("turn %s: %s at %s:%d", inbound.message_id, type(error).__name__, place.filename, place.lineno)
        pause = min(2.0 ** (leased.attempts - 1), 30.0) * random.uniform(0.8, 1.2)  # noqa: S311
        at, word = now + timedelta(seconds=pause), type(error).__name__
        given_up = at > leased.created_at + self._given_up
        async with self._writing.begin() as session:
            if await inbox.finish(session, leased, Dead(word) if given_up else Retry(word, at)):
                text, name = (RECEIPTS.again, "again") if given_up else (RECEIPTS.moment, "moment")
                await self._enqueue(session, leased, inbound, [Bubble(text)], name, now)
        self._sent()

    async def _tell_soon(self, leased: Leased, inbound: Inbound) -> None:
        """That it takes a moment, if it does; and at once that somebody is at it."""
        channel = self._channels.get(inbound.channel)
        if channel is None:
            return
        if channel.capabilities.typing:
            await channel.typing(inbound.recipient)
        await asyncio.sleep(SOON)
        async with self._writing.begin() as session:
            await self._enqueue(session, leased, inbound, [Bubble(RECEIPTS.moment)], "moment", datetime.now(UTC))
        self._sent()

    async def _enqueue(
        self,
        session: AsyncSession,
        leased: Leased,
        inbound: Inbound,
        bubbles: Sequence[Bubble],
        name: str,
        now: datetime,
    ) -> None:
        """``name``: "answer", or what a customer hears once in a while, however many messages wait."""
        if inbound.channel not in self._channels:
            return
        once = f"{inbound.sender} {name} {leased.created_at.timestamp() // self._given_up.total_seconds():.0f}"
        for number, bubble in enumerate(bubbles):
            message = Message(
                channel=inbound.channel,
                recipient=inbound.recipient,
                order_key=inbound.sender,
                kind="answer",
                payload=asdict(bubble),
                dedupe=f"{leased.id}-{number}" if name == "answer" else once,
                cause=f"inbox:{leased.id}",
                not_before=inbound.reply_until,
                expires_at=inbound.good_until or now + STALE,
            )
            await outbox.enqueue(session, message, now)


def message_of(inbound: Inbound) -> inbox.Message:
    """As it is written down."""
    return inbox.Message(inbound.channel, inbound.sender, INBOUND.dump_python(inbound, mode="json"), _name(inbound))


def _sender(leased: Leased) -> str:
    return f"{leased.payload['channel']}:{leased.payload['account']}"


def _name(inbound: Inbound) -> str:
    """Of a message among all of its channel."""
    return f"{inbound.account} {inbound.message_id}"


def _readable(text: str | None) -> str:
    """Without what cannot be kept; nothing, where there is nothing to be seen."""
    kept = "".join(each for each in text or "" if unicodedata.category(each) not in ("Cc", "Cs") or each in "\t\n\r")
    return kept if any(map(shows, kept)) else ""
