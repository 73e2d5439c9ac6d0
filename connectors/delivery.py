"""Sends what waits in the outbox for the channels that are on, in the order of each person.

It goes out at least once: what a sender that died had in hand is sent again, and so is, once, an answer of which nobody
knows whether it has arrived, or a notice that may come twice. Of anything else, a gift, an offer, a person decides.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial

from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker

from connectors.channel import Channel
from connectors.leases import LEASE, TROUBLE, keep_renewing
from connectors.rendering import Bubble
from connectors.words import WORDS
from mall_adapter import notices
from storage import WRITES, outbox
from storage.outbox import LOST, Dead, Leased, Outcome, Retry, Unknown

log = logging.getLogger(__name__)

ANSWERS = ("answer", "desk")
"""Kinds of which a second one does no harm: what the bot answers, and what people at the desk say."""

HARMLESS = frozenset({*ANSWERS}) | notices.KINDS.repeatable()
"""With the notices that may come twice: what is sent again, once, if it may have arrived."""

UNSURE = "unsure"
"""Why one of these is sent again: it may have arrived."""

PATIENCE = 45.0
"""Seconds for one bubble."""

AT_ONCE = 32
TRIES = 20
"""Of a bubble, but for those while its channel could not be used at all."""

LONGEST = 900.0
"""Seconds between two tries, which begin with one second and double."""

PAUSE = 1.0
"""Seconds between looks for what another process has left, or what is due now."""

REST = 60.0
"""Seconds for which a channel is left alone whose credentials or settings are refused."""

LATELY = timedelta(days=1)
USUAL = ("person", "expired")
"""Ends of which operators are not warned: people who have left, and what came too late."""

BUBBLE = TypeAdapter(Bubble)


def backoff(attempts: int) -> timedelta:
    """After so many tries; a little by chance, so that not all come at once."""
    return timedelta(seconds=min(2.0 ** (attempts - 1), LONGEST) * random.uniform(0.8, 1.2))  # noqa: S311


class Delivery:
    def __init__(self, engine: AsyncEngine, channels: Mapping[str, Channel], *, lease: timedelta = LEASE) -> None:
        self._engine = engine
        self._writing = async_sessionmaker(engine.execution_options(**WRITES))
        self._channels = channels
        self._lease = lease
        self._sending: set[asyncio.Task[None]] = set()
        self._held: dict[int, Leased] = {}
        self._wake = asyncio.Event()
        self._resting: dict[str, float] = {}  # until when (monotonic), by channel

    def soon(self) -> None:
        """Something was written for a channel."""
        self._wake.set()

    async def keep_sending(self) -> None:
        """Until cancelled; what is then on its way has a moment to arrive."""
        renewing = asyncio.create_task(keep_renewing(self._engine, self._held, self._lease, outbox.renew))
        try:
            while True:
                self._wake.clear()
                try:
                    await self._begin()
                except TROUBLE as error:
                    log.warning("what is to be sent waits (%s)", type(error).__name__)
                try:
                    async with asyncio.timeout(PAUSE):
                        await self._wake.wait()
                    await asyncio.sleep(0.01)  # of many that end at once, one look is enough
                except TimeoutError:
                    pass
        finally:
            if self._sending:
                await asyncio.wait(self._sending, timeout=5)
            renewing.cancel()

    async def check(self) -> list[str]:
        """What an operator has to know."""
        async with self._writing() as session:
            failed = await outbox.failures(session, datetime.now(UTC) - LATELY)
        lost = sum(number for error_class, number in failed.items() if error_class.split(":")[0] not in USUAL)
        return [WORDS.tasks["unsent"].format(number=lost)] if lost else []

    async def _begin(self) -> None:
        awake = [name for name in self._channels if self._resting.get(name, 0.0) <= time.monotonic()]
        room = AT_ONCE - len(self._sending)
        if not awake or room <= 0:
            return
        now = datetime.now(UTC)
        for leased in await outbox.claim(
            self._engine, awake, room, self._lease, now, attempts=None, held=list(self._held)
        ):
            self._held[leased.id] = leased
            task = asyncio.create_task(self._deliver(leased))
            self._sending.add(task)
            task.add_done_callback(partial(self._ended, leased))

    def _ended(self, leased: Leased, task: asyncio.Task[None]) -> None:
        del self._held[leased.id]
        self._sending.discard(task)
        self._wake.set()  # the next one of that person
        if not task.cancelled() and (error := task.exception()):
            log.error("a message is sent again when its lease is over: %s", type(error).__name__)

    async def _deliver(self, leased: Leased) -> None:
        outcome = self._decided(leased, await self._tried(leased))
        async with self._writing.begin() as session:
            await outbox.finish(session, leased, outcome)
            if isinstance(outcome, Dead) and outcome.error_class.split(":")[0] == "person":
                await notices.lose(session, f"{leased.channel}:{leased.recipient}")
        if isinstance(outcome, (Dead, Unknown)):
            log.warning("message %d (%s, %s): %s", leased.id, leased.channel, leased.kind, outcome.error_class)

    async def _tried(self, leased: Leased) -> Outcome:
        if leased.error_class == LOST and leased.kind not in HARMLESS:
            return Unknown(LOST)
        channel = self._channels[leased.channel]
        try:
            async with asyncio.timeout(PATIENCE):
                return await channel.send(leased.recipient, BUBBLE.validate_python(leased.payload), str(leased.id))
        except TimeoutError:
            return Unknown("timeout")
        except Exception as error:  # a fault of ours; it may have been sent
            log.exception("%s: sending failed", leased.channel)
            return Unknown(type(error).__name__)

    def _decided(self, leased: Leased, outcome: Outcome) -> Outcome:
        """What a channel says, by the kind of the message and by how often it was tried."""
        now = datetime.now(UTC)
        match outcome:
            case Unknown() if leased.kind in HARMLESS and leased.error_class not in (UNSURE, LOST):
                return Retry(UNSURE, now + backoff(leased.attempts))
            case Retry() if outcome.error_class.split(":")[0] == "configuration":
                self._resting[leased.channel] = time.monotonic() + REST
                return Retry(outcome.error_class, now + timedelta(seconds=REST))
            case Retry() if leased.attempts >= TRIES:
                return Dead(outcome.error_class)
            case Retry():
                return Retry(outcome.error_class, max(outcome.at, now + backoff(leased.attempts)))
        return outcome
