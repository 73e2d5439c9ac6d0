"""Customers of the web chat, of WeChat and of Telegram, who write to a whole private stack and see what they would see.

The two channels' servers are the stand-ins of the tests, on sockets; they bring messages as the real ones do, and again
where the house did not take them. Afterwards :func:`judged` holds what each customer was shown against what the bot has
said in their conversation.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import statistics
import time
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import httpx
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

import settings
from connectors.telegram.webhook import HEADER as TELEGRAM_SECRET
from connectors.telegram.webhook import PATH as TELEGRAM_PATH
from connectors.web.visitor import HEADER as VISITOR
from connectors.wechat import xml
from connectors.words import WORDS
from privacy import KeyRing
from privacy.columns import exact_index
from privacy.conversations import Row, conversation_of, open_events
from privacy.tables import conversation_event
from storage import create_engine, inbox
from storage.outbox import Outbox, State
from tests.connectors.telegram import stand_in as telegram
from tests.connectors.wechat import stand_in as wechat
from tests.stack import Stack, free_ports

PUBLIC = "https://shop.example"
"""Telegram brings messages only to an address with https; what it brings comes straight to the gateway."""

WECHAT_HANGS_UP, WECHAT_TRIES = 5.0, 3
TELEGRAM_PAUSES = (1.0, 2.0, 5.0, 10.0)
"""Seconds until it brings an update again; the last one repeats, for a day."""

WEB_SECONDS = 40.0
"""For one try of a page."""

PATIENCE = 300.0
"""Seconds for which a customer waits for an answer."""

NUMBERS = count(1_000)


@dataclass
class Said:
    """``message_id``: that of the house, or how it begins. The moments are monotonic seconds."""

    sender: str
    message_id: str
    text: str
    at: float
    taken: float | None = None  # the channel was told that it need not come again
    answered: float | None = None
    tries: int = 0


class Customer(Protocol):
    channel: str
    sender: str
    said: list[Said]
    heard: list[str]

    async def say(self, text: str, *, wait: bool = True) -> Said:
        """Until there is an answer, or, unless it is to ``wait``, until the message was taken."""


class OnWeb:
    channel = "web"

    def __init__(self, house: House) -> None:
        self._house = house
        self.said: list[Said] = []
        self.heard: list[str] = []
        self.sender = ""  # until the page has been told who it is
        self._headers: dict[str, str] = {}

    async def _arrive(self) -> None:
        while not self.sender:
            with suppress(httpx.HTTPError):
                answer = await self._house.http.post("/api/chat/visitor", timeout=WEB_SECONDS)
                token = answer.raise_for_status().json()["token"]
                self.sender, self._headers = f"web:{token.split('.')[0]}", {VISITOR: token}
                return
            await asyncio.sleep(1)

    async def say(self, text: str, *, wait: bool = True) -> Said:
        """A page waits for each answer, and sends again under its id what was not answered."""
        await self._arrive()
        said = Said(self.sender, secrets.token_hex(16), text, time.monotonic())
        self.said.append(said)
        body = {"text": text, "message_id": said.message_id}
        while time.monotonic() < said.at + PATIENCE:
            said.tries += 1
            pause = 1.0
            with suppress(httpx.TransportError):
                answer = await self._house.http.post("/api/chat", json=body, headers=self._headers, timeout=WEB_SECONDS)
                if answer.is_success:
                    said.taken = said.answered = time.monotonic()
                    self.heard += [message.get("text", "") for message in answer.json()["messages"]]
                    break
                pause = float(answer.headers.get("retry-after", pause))
            await asyncio.sleep(pause)
        return said


class _Told(ABC):
    """Whoever is sent something by the house, in a request of its own."""

    channel: str

    def __init__(self, house: House, account: str) -> None:
        self._house = house
        self.account, self.sender = account, f"{self.channel}:{account}"
        self.said: list[Said] = []
        self.heard: list[str] = []
        self.received: list[tuple[str, Mapping[str, Any]]] = []  # as it was sent: the kind or the method, and what
        self._news = asyncio.Event()
        house.phones[self.sender] = self

    def shows(self, text: str, kind: str, content: Mapping[str, Any]) -> None:
        self.heard.append(text)
        self.received.append((kind, content))
        if text == WORDS.receipts.moment:
            return
        self._news.set()
        for said in self.said:
            said.answered = said.answered or time.monotonic()

    async def say(self, text: str, *, wait: bool = True) -> Said:
        while True:
            self._news.clear()
            said = await self._bring(text)
            if said.taken is not None:  # else they see that nobody took it, and write it once more
                break
        if wait:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), PATIENCE)
        return said

    @abstractmethod
    async def _bring(self, text: str) -> Said:
        """Shows it to the house as the channel does, which tries again for a while."""


class OnWeChat(_Told):
    channel = "wechat"

    def __init__(self, house: House) -> None:
        super().__init__(house, f"o{secrets.token_hex(13)}x")

    async def _bring(self, text: str) -> Said:
        number = secrets.randbelow(9 * 10**17) + 10**17
        message = wechat.message(self.account, Content=text, MsgId=number)
        said = Said(self.sender, str(number), text, time.monotonic())
        self.said.append(said)
        self._house.wechat.follow(self.account)  # whoever writes may be sent five things
        for attempt in range(WECHAT_TRIES):
            said.tries += 1
            with suppress(httpx.TransportError, TimeoutError):
                async with asyncio.timeout(WECHAT_HANGS_UP):
                    sealed = wechat.seal(message)
                    answer = await self._house.http.post(
                        "/wechat",
                        params=wechat.query(sealed=sealed),
                        content=wechat.envelope(sealed),
                        headers={"Content-Type": "text/xml"},
                    )
                if answer.is_success:
                    said.taken = time.monotonic()
                    if answer.text not in ("", "success"):
                        words, _ = wechat.unseal(xml.read(answer.content)["Encrypt"])
                        told = xml.read(words.encode())
                        self.shows(told["Content"], "reply", told)
                    break
            await asyncio.sleep(max(0.0, said.at + (attempt + 1) * WECHAT_HANGS_UP - time.monotonic()))
        return said


class OnTelegram(_Told):
    channel = "telegram"

    def __init__(self, house: House) -> None:
        super().__init__(house, str(next(NUMBERS)))
        person = telegram.PERSON | {"id": int(self.account)}
        self._whose = {"from": person, "chat": telegram.PRIVATE | {"id": int(self.account)}}

    async def _bring(self, text: str) -> Said:
        number = next(NUMBERS)
        message = telegram.message(message_id=number, text=text, **self._whose)
        said = Said(self.sender, f"{self.account}.{number}.", text, time.monotonic())
        self.said.append(said)
        while said.taken is None:
            said.tries += 1
            with suppress(httpx.TransportError):
                answer = await self._house.http.post(
                    TELEGRAM_PATH,
                    json={"update_id": number, "message": message},
                    headers={TELEGRAM_SECRET: self._house.secret},
                    timeout=60,
                )
                if answer.is_success:
                    said.taken = time.monotonic()
                    break
            await asyncio.sleep(TELEGRAM_PAUSES[min(said.tries, len(TELEGRAM_PAUSES)) - 1])
        return said


KINDS: dict[str, type[OnWeb] | type[OnWeChat] | type[OnTelegram]] = {
    kind.channel: kind for kind in (OnWeb, OnWeChat, OnTelegram)
}


class House:
    """A private stack with all three channels on, and the far sides of two of them."""

    def __init__(self, stack: Stack, wechat: wechat.StandIn, telegram: telegram.StandIn) -> None:
        self.stack, self.wechat, self.telegram = stack, wechat, telegram
        self.secret = stack.env["TELEGRAM_WEBHOOK_SECRET"]
        self.phones: dict[str, _Told] = {}
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
        self.http = httpx.AsyncClient(base_url=stack.url, trust_env=False, timeout=30, limits=limits)

    async def show(self) -> None:
        """Until cancelled: what the house sends is seen on the telephones."""
        sent = called = 0
        while True:
            for openid, kind, content in self.wechat.sent[sent:]:
                sent += 1
                words = {"text": "content", "msgmenu": "head_content"}.get(kind)
                self.phones[f"wechat:{openid}"].shows(content[words] if words else "", kind, content)
            for method, arguments in self.telegram.calls[called:]:
                called += 1
                if method in ("sendMessage", "sendPhoto"):
                    text = arguments.get("text", arguments.get("caption", ""))
                    self.phones[f"telegram:{arguments['chat_id']}"].shows(text, method, arguments)
            await asyncio.sleep(0.05)

    async def warm(self) -> None:
        """Until questions about the rules are answered from the graph."""
        async with asyncio.timeout(PATIENCE):
            while True:
                customer = OnWeb(self)
                await customer.say("退货运费谁出")
                with suppress(httpx.HTTPError):
                    health = await self.http.get("/healthz")
                    if health.is_success and "运费" in "".join(customer.heard):
                        return
                await asyncio.sleep(0.5)


@asynccontextmanager
async def opened(folder: Path, **more: str) -> AsyncIterator[House]:
    """The stack in ``folder``; this process then reads its database, too. ``more`` are settings."""
    (port,) = free_ports(1)
    with wechat.serve(port) as its_wechat:
        async with telegram.serve() as its_telegram:
            channels = {
                "WECHAT_APP_ID": wechat.APP_ID,
                "WECHAT_APP_SECRET": wechat.SECRET,
                "WECHAT_TOKEN": wechat.TOKEN,
                "WECHAT_AES_KEY": wechat.AES_KEY,
                "WECHAT_API_BASE": its_wechat.url,
                "TELEGRAM_BOT_TOKEN": telegram.TOKEN,
                "TELEGRAM_API_BASE": its_telegram.url,
                "TELEGRAM_WEBHOOK_SECRET": secrets.token_hex(16),
                "PUBLIC_URL": PUBLIC,
                "RATE_LIMITS": "chat=1000000/minute, pages=1000000/minute, doors=1000000/minute",
            }
            stack = Stack(folder, **channels, **more)
            os.environ |= {name: stack.env[name] for name in ("DATA_DIR", *more)}
            try:
                await asyncio.to_thread(stack.start)
                house = House(stack, its_wechat, its_telegram)
                showing = asyncio.create_task(house.show())
                try:
                    await house.warm()
                    yield house
                finally:
                    showing.cancel()
                    await house.http.aclose()
            finally:
                await asyncio.to_thread(stack.stop)


# ---- afterwards ----

FAULTS = ("lost", "unanswered", "doubled", "overtaken", "unshown")


@dataclass
class Verdict:
    """Each a line about one message; of ``unknowable`` nothing could tell the house that it had been sent before."""

    lost: list[str] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    overtaken: list[str] = field(default_factory=list)
    unshown: list[str] = field(default_factory=list)
    unknowable: list[str] = field(default_factory=list)
    open: dict[str, int] = field(default_factory=dict)  # rows of inbox and outbox that did not end well, by state

    @property
    def faults(self) -> list[str]:
        return [f"{name}: {line}" for name in FAULTS for line in getattr(self, name)]


async def settled(seconds: float) -> None:
    """Until nothing is on its way any more. Raises TimeoutError."""
    engine = create_engine(settings.database_url())
    going = (State.PENDING, State.LEASED)
    queries = [select(func.count()).select_from(each).where(each.state.in_(going)) for each in (inbox.Inbox, Outbox)]
    try:
        async with asyncio.timeout(seconds):
            while True:
                async with engine.connect() as connection:
                    if not sum([(await connection.execute(query)).scalar_one() for query in queries]):
                        return
                await asyncio.sleep(0.5)
    finally:
        await engine.dispose()


async def judged(customers: Iterable[Customer]) -> Verdict:
    """Of messages that a channel was told it need not bring again: each stands in its conversation once, in order, and
    what the bot answered was shown once, in order."""
    verdict, ring = Verdict(), KeyRing.load(settings.keyring_file())
    engine = create_engine(settings.database_url())
    try:
        async with engine.connect() as connection:
            for table in (inbox.Inbox, Outbox):
                ends = select(table.state, table.error_class, func.count()).group_by(table.state, table.error_class)
                for state, error_class, number in await connection.execute(ends):
                    if state not in (State.DONE, State.SENT):
                        verdict.open[f"{table.__tablename__} {state} {error_class}"] = number
            for customer in customers:
                if customer.said:
                    await _judge(verdict, ring, connection, customer)
    finally:
        await engine.dispose()
    return verdict


async def _judge(verdict: Verdict, ring: KeyRing, connection: AsyncConnection, customer: Customer) -> None:
    mine = conversation_event.c.conversation == conversation_of(ring, customer.sender)
    rows = await connection.execute(select(conversation_event).where(mine).order_by(conversation_event.c.position))
    answers: dict[str, list[str]] = {}
    places: list[str] = []
    current: list[str] = []
    for event in open_events(ring, [Row(*row) for row in rows], first=0):
        if event["event"] == "user":
            places.append(str(event.get("message_id")))
            current = answers.setdefault(places[-1], [])
        elif event["event"] == "bot" and event.get("text"):
            current.append(_plain(event["text"]))
    kept = Counter(places)
    order: list[int] = []
    for said in customer.said:
        found = [name for name in kept if name.startswith(said.message_id)]
        about = f"{customer.sender} {said.message_id} {said.text}"
        if said.answered is None and (said.taken is not None or customer.channel == "web"):
            verdict.unanswered.append(about)
        if sum(kept[name] for name in found) > 1:
            verdict.doubled.append(about)
        if found:
            order.append(places.index(found[0]))
        elif said.taken is not None:
            verdict.lost.append(about)
    if order != sorted(order):
        verdict.overtaken.append(customer.sender)
    await _compare(verdict, connection, customer, answers)


async def _compare(
    verdict: Verdict, connection: AsyncConnection, customer: Customer, answers: dict[str, list[str]]
) -> None:
    """What was shown with what the bot has said; the channel may have hung up on what it was not told to have been
    taken, and that must not stand for the same words elsewhere."""
    transcript, at = "".join(map(_plain, customer.heard)), 0
    taken = tuple(said.message_id for said in customer.said if said.taken is not None)
    due = Counter(text for name, texts in answers.items() if name.startswith(taken) for text in texts)
    wanted: Counter[str] = Counter()
    for name, texts in answers.items():
        sure = name.startswith(taken)
        for text in texts:
            found = transcript.find(text, at)
            if not sure and due[text] >= transcript.count(text):
                found = -1
            if found >= 0:
                at = found + len(text)
            elif sure:
                again = "overtaken" if text in transcript else "unshown"
                getattr(verdict, again).append(f"{customer.sender} {name} {text[:40]}")
            wanted[text] += 1
    distinct = [text for text in wanted if not any(text != other and text in other for other in wanted)]
    more = {text: transcript.count(text) - wanted[text] for text in distinct}
    doubled = {text: number for text, number in more.items() if number > 0}
    if doubled:
        mine = Outbox.order_key == exact_index(customer.sender, "outbox.order_key")
        tried = await connection.execute(select(func.count()).where(mine, Outbox.attempts > 1))
        knowable = customer.channel == "web" or not tried.scalar_one()
        place = verdict.doubled if knowable else verdict.unknowable
        place += [f"{customer.sender} {text[:40]}" for text in doubled]


def _plain(text: str) -> str:
    """Without what a channel may show in another way."""
    return re.sub(r"\W", "", text)


def percentiles(seconds: Sequence[float]) -> str:
    if len(seconds) < 2:
        return "-"
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return f"p50 {cuts[49]:.2f} s, p95 {cuts[94]:.2f} s, p99 {cuts[98]:.2f} s, longest {max(seconds):.2f} s"


def by_channel(customers: Collection[Customer]) -> dict[str, list[Said]]:
    found: dict[str, list[Said]] = defaultdict(list)
    for customer in customers:
        found[customer.channel] += customer.said
    return found
