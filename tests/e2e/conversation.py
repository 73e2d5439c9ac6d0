"""Plays a conversation file against a running gateway and looks into the mall afterwards.

A file is a list of conversations::

    - conversation: returns a pair of shoes
      given: {shoes: ORD12345}          # a copy of that order of the demo mall, under a number of its own;
                                        # "ORD12346 paid": as it was before it was sent; "ORD12348 small": one that
                                        # has cost little
      customer: known                   # optional: the sender's account is bound to the owner of the orders
      role: sales                       # optional: in which they have a role beside that of a customer
      energy: 150                       # optional: so many points, which the owner of the orders may spend
      talk:
        - 我想退货: 请提供订单号           # what is said: what the answer contains
        - "{shoes}": 后四位
        - "5678": {says: [原因], buttons: [质量问题], not: 工单, intent: inform}
        - "[质量问题]": 确认提交            # in brackets: a tap on the last answer's button of that title
        - "{phone of shoes}": 订单号       # the whole phone number of the order's owner
        - qwertyu: {understood: no}      # the answer owns up to it, asks or guides; elsewhere owning up to it fails,
        - 啊这: {understood: either}      # but for where something else is looked at
        - 谢谢: {asks: no}                # no question in the answer, in words or as buttons; "asks: yes" is one
        - 呃呃: {new: yes}                # nothing of the answer was said before in this conversation
        - "{tax number}": 确认申请吗       # a company's, with its check character; {wrong tax number} has another one
        - "elsewhere: 绑定码 {code}": 确认   # the same person in another chat; the last code that was told,
                                        # "wide code", "old code" and "wrong code" are made of it
        - operator takes over: 小王来了     # what an operator does at the desk: what then reaches the customer
        - "operator: 您好": 您好
        - operator hands back: [结束, 打个星]   # or "operator gives up", for a matter that is not resolved
      then:
        tickets of shoes: [return approved]
        status of shoes: delivered
        address of shoes: 浙江省…        # where it goes; "recipient of" and "phone of": to whom
        invoice of shoes: [company, 青禾文具有限公司, "{tax number}", requested]   # the newest; [] when there is none
        invoices of shoes: 1
        bound: yes                      # whether the sender's account is bound now; "bound elsewhere": the other chat's
        hand-offs: [ended resolved 5]    # of the sender: status, resolved or not, stars
        coupons: [安心券]                 # of the sender, by their titles
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import yaml
from sqlalchemy import Table, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

import mall_adapter
import settings
from connectors.messages import caller
from mall_adapter import SqlMall, models, people
from mall_adapter.models import (
    Base,
    Customer,
    EnergyAccount,
    EnergyEntry,
    EnergyLot,
    Fulfilment,
    Invoice,
    Membership,
    Order,
    OrderLine,
    Shipment,
    ShipmentLine,
    Stock,
    Ticket,
    TrackingEvent,
    phone_index,
    phone_tail_index,
)
from mall_adapter.values import OrderStatus
from privacy import current_ring
from settings import SHANGHAI
from storage import WRITES, Role
from tests.mall_adapter.offices import bind

FOLDER = Path(__file__).parent
TURN_SECONDS = 60
BEFORE_SHIPPING = (OrderStatus.PENDING_PAYMENT, OrderStatus.PAID, OrderStatus.PRESALE)

NOT_UNDERSTOOD = (
    "utter_did_you_mean*",
    "utter_default",
    "utter_not_understood*",
    "utter_call_at_last",
    "utter_go_on",
    "utter_heard*",
    "utter_say_what",
    "utter_sorry_*",
)
"""Responses of the domain that own up to not having understood."""

GUIDING = ("utter_leave_question*", "utter_go_on", "utter_heard*", "utter_say_what")
"""Responses that want no answer and yet say how it goes on."""

QUESTIONS = ("utter_ask_[!h]*", "utter_remind*")
"""Responses that want an answer, whether or not they end in a question mark; "utter_ask_help" is none."""

ANSWERED_BY_BUTTON = re.compile(r"/(?:affirm|deny|inform|stop)\b")
"""Payloads of buttons that answer a question; a button that begins a wish is no question."""

_QUOTED = re.compile(r"“[^”]*”|「[^」]*」|‘[^’]*’|\"[^\"]*\"")
_PLACE = re.compile(r"\\\{(\w+)\\\}")
_RESPONSES: dict[str, list[dict[str, Any]]] = yaml.safe_load((settings.ROOT / "bot" / "domain.yml").read_text("utf-8"))[
    "responses"
]

_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def tax_number(first: str, wrong: bool = False) -> str:
    """A unified social credit code (GB 32100-2015): 17 characters and their check character, or another one."""
    total = sum(_ALPHABET.index(character) * pow(3, place, 31) for place, character in enumerate(first))
    return first + _ALPHABET[(-total + wrong) % 31]


ELSEWHERE = "elsewhere: "

COMPANY = "91320594MA7K4B2P5"


@dataclass
class Conversation:
    file: str
    name: str
    talk: list[tuple[str, dict[str, Any]]]
    given: dict[str, str] = field(default_factory=dict)
    known: bool = False
    role: str | None = None
    energy: int = 0
    then: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.file}: {self.name}"


def _expectation(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        unknown = set(value) - {"says", "not", "buttons", "intent", "understood", "asks", "new"}
        assert not unknown, f"unknown expectation {unknown}"
        return value
    return {"says": value}


def read_conversations() -> list[Conversation]:
    found = []
    for path in sorted(FOLDER.rglob("*.yml")):
        for entry in yaml.safe_load(path.read_text("utf-8")):
            turns = [(str(said), _expectation(answer)) for turn in entry["talk"] for said, answer in turn.items()]
            found.append(
                Conversation(
                    file=str(path.relative_to(FOLDER).with_suffix("")),
                    name=entry["conversation"],
                    talk=turns,
                    given=entry.get("given", {}),
                    known=entry.get("customer") == "known",
                    role=entry.get("role"),
                    energy=entry.get("energy", 0),
                    then=entry.get("then", {}),
                )
            )
    return found


def _table(model: type[Base]) -> Table:
    table = model.__table__
    assert isinstance(table, Table)
    return table


async def _copy(connection: AsyncConnection, model: type[Base], key: Any, value: str, change: Any) -> None:
    """Insert the rows with ``key == value`` again, each as ``change(row)`` makes it."""
    rows = (await connection.execute(select(_table(model)).where(key == value))).mappings().all()
    if rows:
        await connection.execute(insert(_table(model)), [change(dict(row)) for row in rows])


async def _allocate(connection: AsyncConnection, order_id: str) -> None:
    """The pieces of an order that waits to be shipped lie in the warehouse and belong to it."""
    lines = select(OrderLine.sku_id, OrderLine.quantity).join(Order).where(Order.id == order_id)
    for sku_id, pieces in (await connection.execute(lines.where(Order.status.in_(BEFORE_SHIPPING)))).all():
        more = {"on_hand": Stock.on_hand + pieces, "allocated": Stock.allocated + pieces}
        await connection.execute(update(Stock).where(Stock.sku_id == sku_id).values(more))


async def _number(connection: AsyncConnection, order_id: str) -> str:
    """A free number as the mall makes them: the day on which it was placed, and six digits."""
    placed = (await connection.execute(select(Order.placed_at).where(Order.id == order_id))).scalar_one()
    for _ in range(100):
        number = f"ORD{placed.astimezone(SHANGHAI):%y%m%d}{secrets.randbelow(10**6):06}"
        if (await connection.execute(select(Order.id).where(Order.id == number))).first() is None:
            return number
    raise RuntimeError("no free order number found")


SMALL_CENTS = 1990


async def copy_order(engine: AsyncEngine, order_id: str, customer_id: str, how: str = "") -> str:
    """A copy of an order with its lines and shipments, owned by ``customer_id``; returns its number. ``how``: with a
    status before it was sent, without shipments; or "small"."""
    before = "" if how == "small" else how
    fresh = order_id
    unsent = {"status": before, "delivered_at": None, "ships_by": datetime.now(UTC) + timedelta(days=1)}

    def renamed(row: dict[str, Any]) -> dict[str, Any]:
        return {
            name: value.replace(order_id, fresh, 1) if isinstance(value, str) and name.endswith("id") else value
            for name, value in row.items()
        }

    def owned(row: dict[str, Any]) -> dict[str, Any]:
        tail = phone_tail_index(fresh, row["recipient_phone"])
        stands = unsent if before else {"total_cents": SMALL_CENTS} if how else {}
        own = {"id": fresh, "customer_id": customer_id, "phone_tail_index": tail, "refunded_cents": 0}
        return {**renamed(row), **stands, **own}

    def untouched(row: dict[str, Any]) -> dict[str, Any]:
        return {**renamed(row), "in_tickets": 0, "refunded_cents": 0, "released": 0}

    async with engine.execution_options(**WRITES).begin() as connection:
        fresh = await _number(connection, order_id)
        await _copy(connection, Order, Order.id, order_id, owned)
        await _copy(connection, Fulfilment, Fulfilment.order_id, order_id, renamed)
        await _copy(connection, OrderLine, OrderLine.order_id, order_id, untouched)
        await _allocate(connection, fresh)
        if before:
            return fresh
        shipments = await connection.execute(select(Shipment.id).where(Shipment.order_id == order_id))
        await _copy(connection, Shipment, Shipment.order_id, order_id, renamed)
        for shipment_id in shipments.scalars().all():
            await _copy(connection, ShipmentLine, ShipmentLine.shipment_id, shipment_id, renamed)
            await _copy(
                connection,
                TrackingEvent,
                TrackingEvent.shipment_id,
                shipment_id,
                lambda row: {name: value for name, value in renamed(row).items() if name != "id"},
            )
    return fresh


async def employ(engine: AsyncEngine, customer_id: str, role: Role) -> None:
    """Gives a customer who is bound a role beside that of a customer."""
    row = {"principal_id": people.principal_of(customer_id), "role": role, "granted_at": datetime.now(UTC)}
    async with engine.execution_options(**WRITES).begin() as connection:
        await connection.execute(insert(Membership).values(row))


async def copy_customer(engine: AsyncEngine, order_id: str) -> str:
    """A customer like the owner of ``order_id``, without any orders; returns the id."""
    fresh = f"C{secrets.token_hex(6)}"
    phone = f"199{secrets.randbelow(10**8):08d}"
    async with engine.execution_options(**WRITES).begin() as connection:
        owner = (await connection.execute(select(Order.customer_id).where(Order.id == order_id))).scalar_one()
        change = {"id": fresh, "phone": phone, "phone_index": phone_index(phone)}
        await _copy(connection, Customer, Customer.id, owner, lambda row: {**row, **change})
    return fresh


async def give_energy(engine: AsyncEngine, customer_id: str, points: int) -> None:
    """For a friend's first order, long ago enough that it may be spent."""
    now, person = datetime.now(UTC), f"customer:{customer_id}"
    lot = EnergyLot(
        person=person,
        invitee="account:friend",
        event="order",
        level=1,
        rule="order",
        channel="web",
        card_id="CARD1",
        cause=f"given {customer_id}",
        points=points,
        reasons=[],
        earned_at=now - timedelta(days=20),
        frozen_until=now,
        expires_at=now + timedelta(days=300),
        active=points,
    )
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        session.add_all([lot, EnergyAccount(person=person, balance=points)])
        await session.flush()
        session.add(EnergyEntry(lot_id=lot.id, target="active", points=points, cause=f"given {lot.id}", at=now))


async def look_up(engine: AsyncEngine, what: str, order_id: str) -> Any:
    """What the mall has of an order: its tickets, status, address, recipient, phone, invoice, or number of invoices."""
    columns = {
        "status": Order.status,
        "address": Order.recipient_address,
        "recipient": Order.recipient_name,
        "phone": Order.recipient_phone,
    }
    async with engine.connect() as connection:
        if what == "tickets":
            tickets = select(Ticket.kind, Ticket.status).where(Ticket.order_id == order_id).order_by(Ticket.id)
            return [f"{kind} {status}" for kind, status in (await connection.execute(tickets)).all()]
        if what == "invoice":
            parts = select(Invoice.kind, Invoice.title, Invoice.tax_number, Invoice.status)
            newest = parts.where(Invoice.order_id == order_id).order_by(Invoice.created_at.desc())
            return [str(part) for part in (await connection.execute(newest)).first() or () if part is not None]
        if what == "invoices":
            number = select(func.count()).select_from(Invoice).where(Invoice.order_id == order_id)
            return (await connection.execute(number)).scalar_one()
        if what not in columns:
            raise ValueError(f"cannot look up the {what} of an order")
        return str((await connection.execute(select(columns[what]).where(Order.id == order_id))).scalar_one())


async def is_bound(engine: AsyncEngine, sender: str) -> bool:
    async with engine.connect() as connection:
        return await connection.scalar(select(people.customer_id_of(sender))) is not None


async def phone_of(engine: AsyncEngine, customer_id: str) -> str:
    async with engine.connect() as connection:
        phone: str = (await connection.execute(select(Customer.phone).where(Customer.id == customer_id))).scalar_one()
    return phone


def api_sender(name: str) -> str:
    """The sender that the gateway makes of a caller's own conversation id."""
    return caller(current_ring().derive("api_sender"), name)


@cache
def _patterns(responses: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    """What ``responses`` look like when they are said, each value a group; those of hardly any words left out."""
    variants = [
        str(variant["text"])
        for name, variants in _RESPONSES.items()
        for variant in variants
        if any(fnmatchcase(name, wanted) for wanted in responses) and variant.get("text")
    ]
    worded = [text for text in variants if len(re.findall(r"\w", re.sub(r"\{\w+\}", "", text))) > 3]
    return tuple(re.compile(_pattern(text), re.DOTALL) for text in worded)


def _pattern(text: str) -> str:
    seen: set[str] = set()

    def group(match: re.Match[str]) -> str:
        name = match[1]
        first = name not in seen
        seen.add(name)
        return f"(?P<{name}>.*?)" if first else ".*?"

    return _PLACE.sub(group, re.escape(text))


def told(text: str, *responses: str) -> dict[str, str] | None:
    """The values in ``text`` if it says one of these responses of the domain (with ``*``), else None."""
    matches = (pattern.search(text) for pattern in _patterns(responses))
    return next((match.groupdict() for match in matches if match), None)


def says(text: str, *responses: str) -> bool:
    return told(text, *responses) is not None


def variants(response: str) -> list[str]:
    """A response of the domain, in all its wordings."""
    return [str(variant["text"]) for variant in _RESPONSES[response]]


def texts_of(answer: Mapping[str, Any]) -> list[str]:
    return [message["text"] for message in answer["messages"] if message.get("text")]


def buttons_of(answer: Mapping[str, Any]) -> list[dict[str, str]]:
    return [button for message in answer["messages"] for button in message.get("buttons") or []]


def asks(answer: Mapping[str, Any]) -> list[str]:
    """The questions of an answer: what has a question mark or 吗 outside of quotation marks, what the domain has as a
    question, and buttons that answer one."""
    worded = [
        text for text in texts_of(answer) if re.search("[?？吗]", _QUOTED.sub("", text)) or says(text, *QUESTIONS)
    ]
    return worded + [f"[{one['title']}]" for one in buttons_of(answer) if ANSWERED_BY_BUTTON.match(one["payload"])]


def oddities(answer: Mapping[str, Any]) -> list[str]:
    """What no answer may have, whatever was said: nothing at all, the same text twice, two equal buttons, the name of a
    value in place of the value."""
    texts, buttons = texts_of(answer), buttons_of(answer)
    titles, payloads = ([button[part] for button in buttons] for part in ("title", "payload"))
    wrong = [] if answer["messages"] else ["an empty answer"]
    wrong += [f"twice in one answer: {text}" for text in _repeated(texts)]
    wrong += [f"a value is missing: {text}" for text in texts if re.search(r"\{[a-z_]+\}", text)]
    return wrong + [f"two equal buttons: {name}" for name in dict.fromkeys(_repeated(titles) + _repeated(payloads))]


def _repeated(values: Sequence[str]) -> list[str]:
    return [value for value in dict.fromkeys(values) if values.count(value) > 1]


class Failed(AssertionError):
    """The conversation up to the answer that was not as expected."""


class Chat:
    """One sender's conversation over ``POST /api/chat``."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.name = secrets.token_hex(8)
        self.sender: str | None = None
        self.transcript: list[str] = []
        self._buttons: dict[str, str] = {}

    async def say(self, text: str) -> dict[str, Any]:
        if text.startswith("[") and text.endswith("]"):
            if text[1:-1] not in self._buttons:
                raise Failed("\n".join([*self.transcript, f"no button {text} among {list(self._buttons)}"]))
            text = self._buttons[text[1:-1]]
        response = await self._client.post("/api/chat", json={"sender": self.name, "text": text})
        self.transcript.append(f"> {text}")
        if response.status_code != httpx.codes.OK:
            raise Failed("\n".join([*self.transcript, f"HTTP {response.status_code} {response.text}"]))
        answer: dict[str, Any] = response.json()
        self.transcript[-1] += f"    ({answer['understood']['intent']} {answer['understood']['confidence']:.2f})"
        return self.hears(answer)

    def hears(self, answer: dict[str, Any]) -> dict[str, Any]:
        self._buttons = {}
        for message in answer["messages"]:
            self.transcript.append(f"< {message.get('text', json.dumps(message, ensure_ascii=False))}")
            for button in message.get("buttons") or []:
                self._buttons[button["title"]] = button["payload"]
        return answer

    @property
    def buttons(self) -> list[str]:
        return list(self._buttons)


def _listed(value: Any) -> list[str]:
    return [] if value is None else [str(item) for item in value] if isinstance(value, list) else [str(value)]


class Desk:
    """An operator at ``/dashboard``, for one customer of the gateway."""

    def __init__(self, client: httpx.AsyncClient, chat: Chat, engine: AsyncEngine) -> None:
        self._client, self._chat, self._engine = client, chat, engine
        self._after: int | None = None

    async def does(self, what: str) -> None:
        if not self._client.headers.get("X-CSRF-Token"):
            sign_in = {"token": settings.admin_token(), "name": "小王"}
            (await self._client.post("/dashboard/api/session", json=sign_in)).raise_for_status()
            csrf = (await self._client.get("/dashboard/api/session")).json()["csrf"]
            self._client.headers["X-CSRF-Token"] = csrf
        live = await mall_adapter.Desk(self._engine, settings.desk_hours()).live(api_sender(self._chat.name))
        if live is None:
            raise Failed("\n".join([*self._chat.transcript, "nobody waits for an operator"]))
        path, body = {
            "operator takes over": ("claim", {}),
            "operator hands back": ("hand-back", {"resolved": True}),
            "operator gives up": ("hand-back", {"resolved": False}),
        }.get(what, ("say", {"text": what.partition(": ")[2], "message_id": secrets.token_hex(8)}))
        (await self._client.post(f"/dashboard/api/handoffs/{live.id}/{path}", json=body)).raise_for_status()

    async def reaches(self) -> dict[str, Any]:
        """An answer with what has come to the customer since the last look, waited for a little."""
        for _ in range(100):
            parameters = {"sender": self._chat.name} | ({} if self._after is None else {"after": str(self._after)})
            news = (await self._client.get("/api/chat/updates", params=parameters)).json()
            if news["messages"]:
                self._after = news["after"]
                return self._chat.hears({"messages": news["messages"], "understood": {"intent": None}})
            await asyncio.sleep(0.1)
        raise Failed("\n".join([*self._chat.transcript, "nothing came from the desk"]))

    async def handoffs(self) -> list[str]:
        row, who = models.Handoff, models.sender_index(api_sender(self._chat.name))
        query = select(row.status, row.resolved, row.stars).where(row.sender_index == who).order_by(row.id)
        async with self._engine.connect() as connection:
            found = (await connection.execute(query)).all()
        words = {True: "resolved", False: "unresolved", None: ""}
        return [f"{status} {words[resolved]} {stars or ''}".strip() for status, resolved, stars in found]


async def _check_mall(
    engine: AsyncEngine, then: dict[str, Any], places: dict[str, str], chat: Chat, other: Chat, desk: Desk
) -> None:
    for question, expected in then.items():
        what, _, name = question.partition(" of ")
        if what == "hand-offs":
            found: Any = await desk.handoffs()
        elif what == "coupons":
            found = [coupon.title for coupon in await SqlMall(engine).coupons_of(api_sender(chat.name))]
        elif what in ("bound", "bound elsewhere"):
            found = await is_bound(engine, api_sender((chat if what == "bound" else other).name))
        else:
            found = await look_up(engine, what, places[name])
        if found != (wanted := _filled(expected, places)):
            raise Failed(f"{question}: expected {wanted}, the mall has {found}")


def _filled(value: Any, places: dict[str, str]) -> Any:
    if isinstance(value, list):
        return [_filled(one, places) for one in value]
    return value.format_map(places) if isinstance(value, str) else value


async def play(conversation: Conversation, url: str, engine: AsyncEngine) -> None:
    """Raises :class:`Failed` with the transcript at the first answer, or fact of the mall, that is not as written."""
    places = {"tax number": tax_number(COMPANY), "wrong tax number": tax_number(COMPANY, wrong=True)}
    customers: dict[str, str] = {}
    for name, given in conversation.given.items():
        model, _, how = given.partition(" ")
        async with engine.connect() as connection:
            query = select(Order.customer_id).where(Order.id == model)
            owner = (await connection.execute(query)).scalar_one()
        if owner not in customers:
            customers[owner] = await copy_customer(engine, model)
        places[name] = await copy_order(engine, model, customers[owner], how)
        places[f"phone of {name}"] = await phone_of(engine, customers[owner])
    async with httpx.AsyncClient(base_url=url, timeout=TURN_SECONDS) as client:
        chat, other = Chat(client), Chat(client)
        other.transcript = chat.transcript
        if conversation.known:
            customer_id = next(iter(customers.values()))
            await bind(SqlMall(engine), api_sender(chat.name), customer_id)
            if conversation.role:
                await employ(engine, customer_id, Role(conversation.role))
        if conversation.energy:
            await give_energy(engine, next(iter(customers.values())), conversation.energy)
        desk = Desk(client, chat, engine)
        earlier: set[str] = set()
        for said, expected in conversation.talk:
            if said.startswith("operator"):
                await desk.does(said)
                answer = await desk.reaches()
                _check_answer(chat, answer, expected, places, earlier)
            else:
                speaks = other if said.startswith(ELSEWHERE) else chat
                answer = await speaks.say(said.removeprefix(ELSEWHERE).format_map(places))
                _check_answer(speaks, answer, expected, places, earlier)
            earlier |= set(texts_of(answer))
            for text in texts_of(answer):
                if found := told(text, "utter_account_code"):
                    places |= _codes(found["code"], places)
        try:
            await _check_mall(engine, conversation.then, places, chat, other, desk)
        except Failed as error:
            raise Failed("\n".join([*chat.transcript, str(error)])) from None


def _codes(code: str, before: dict[str, str]) -> dict[str, str]:
    """The code, how it may be typed, the one before it, and one that nobody has."""
    wide = f"{code[:3]} {code[3:]}".translate({ord(str(digit)): 0xFF10 + digit for digit in range(10)})
    wrong = f"{(int(code) + 1) % 10**6:06d}"
    return {"code": code, "wide code": wide, "wrong code": wrong, "old code": before.get("code", "")}


def _check_answer(
    chat: Chat, answer: dict[str, Any], expected: dict[str, Any], places: dict[str, str], earlier: set[str]
) -> None:
    text = "\n".join(message.get("text", "") for message in answer["messages"])
    wrong = [f"missing: {part}" for part in _listed(expected.get("says")) if part.format_map(places) not in text]
    wrong += [f"must not say: {part}" for part in _listed(expected.get("not")) if part.format_map(places) in text]
    wrong += [f"no button: {title}" for title in _listed(expected.get("buttons")) if title not in chat.buttons]
    if "intent" in expected and answer["understood"]["intent"] != expected["intent"]:
        wrong.append(f"understood {answer['understood']}, expected {expected['intent']}")
    questions, lost = asks(answer), any(says(one, *NOT_UNDERSTOOD) for one in texts_of(answer))
    understood = expected.get("understood", True)
    if understood is True and lost:
        wrong.append("was not understood")
    if understood is False and not lost and not questions and not any(says(one, *GUIDING) for one in texts_of(answer)):
        wrong.append("neither owns up to not having understood nor asks")
    if "asks" in expected and bool(questions) != expected["asks"]:
        wrong.append(f"must not ask: {questions}" if questions else "asks nothing")
    if expected.get("new"):
        wrong += [f"was said before: {one}" for one in texts_of(answer) if one in earlier]
    if wrong := wrong + oddities(answer):
        raise Failed("\n".join([*chat.transcript, *wrong]))


async def play_all(
    conversations: list[Conversation], url: str, engine: AsyncEngine, at_once: int = 6
) -> dict[str, str]:
    """Plays them side by side; returns the complaints by conversation id, none for those that went well."""
    places, complaints = asyncio.Semaphore(at_once), {}

    async def one(conversation: Conversation) -> None:
        async with places:
            try:
                await play(conversation, url, engine)
            except Exception as error:
                complaints[conversation.id] = str(error) or repr(error)

    await asyncio.gather(*(one(conversation) for conversation in conversations))
    return complaints
