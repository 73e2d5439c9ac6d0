"""A customer who asks, and a real mall whose parcels are where they are now: for tests of single actions.

Ann (C1, phone 138 0000 5678) is bound to ``web:ann``, Ben (C2) to ``web:ben`` and has ordered nothing; nobody is
``web:guest``. Values in a message are found as the house finds them; what the flows would set is told by the test.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml
from rasa_sdk import Action, Tracker
from rasa_sdk.executor import CollectingDispatcher
from sqlalchemy.ext.asyncio import AsyncSession

import settings
from bot.actions.conversation import digest
from bot.components.text import normalize
from bot.components.values import read
from mall_adapter import models
from mall_adapter.policy import Trade
from mall_adapter.values import OrderStatus
from tests.mall_adapter.conftest import bound
from tests.mall_adapter.goods import add_sku, add_supplier, sent_by

DOMAIN: dict[str, Any] = yaml.safe_load((settings.ROOT / "bot/domain.yml").read_text("utf-8"))

PHONE = "13800005678"
SHOES, LIPSTICK, FRYER, MUG = "云跑缓震跑步鞋", "花间丝绒口红", "灶台边空气炸锅", "山隅保温杯"

ORDERS: tuple[tuple[str, str, OrderStatus, int, dict[str, Any]], ...] = (  # number, goods, status, days old, more
    ("ORD10000000001", SHOES, OrderStatus.DELIVERED, 9, {"parcel": "delivered", "end": -3}),
    ("ORD10000000002", LIPSTICK, OrderStatus.SHIPPED, 8, {"parcel": "delayed", "promised": -3}),
    ("ORD10000000003", FRYER, OrderStatus.SHIPPED, 7, {"parcel": "lost", "promised": -4}),
    ("ORD10000000004", MUG, OrderStatus.SHIPPED, 3, {"parcel": "in_transit", "promised": 2}),
    ("ORD10000000005", SHOES, OrderStatus.PAID, 2, {"ships": 1}),
    ("ORD10000000006", FRYER, OrderStatus.PRESALE, 1, {"ships": 12}),
)


def add_orders(session: AsyncSession, *orders: str) -> None:
    """Ann's orders with these numbers, all of them when none is named."""
    now = datetime.now(UTC)
    _add_people_and_goods(session, now)
    for order_id, name, status, age, more in ORDERS:
        if not orders or order_id in orders:
            session.add(an_order(order_id, name, status, now - timedelta(days=age), **more))


def _add_people_and_goods(session: AsyncSession, now: datetime) -> None:
    for customer_id, name, phone, sender in (("C1", "安", PHONE, "web:ann"), ("C2", "本", "13900004321", "web:ben")):
        session.add(
            models.Customer(
                id=customer_id,
                name=name,
                phone=phone,
                phone_index=models.phone_index(phone),
                address="上海市静安区延平路 1 号",
                region="310000",
                registered_at=now - timedelta(days=400),
            )
        )
        session.add_all(bound(sender, customer_id, now))
    add_supplier(session)
    for name, category in ((SHOES, "跑步鞋"), (LIPSTICK, "口红"), (FRYER, "空气炸锅"), (MUG, "保温杯")):
        session.add(
            models.Product(
                id=category,
                supplier_id="S1",
                name=name,
                brand=name[:2],
                category=category,
                trade=Trade.CLOTHING,
                fresh=False,
                custom_made=False,
                attributes={},
                image_path=None,
            )
        )
        add_sku(session, name, category, "标准", 9900, 50, allocated=9)


def an_order(
    order_id: str,
    name: str,
    status: OrderStatus,
    placed_at: datetime,
    *,
    parcel: str | None = None,
    promised: int = 2,
    end: int | None = None,
    ships: int | None = None,
) -> models.Order:
    """``promised``, ``end`` and ``ships`` are days from now."""
    now = datetime.now(UTC)
    delivered_at = None if end is None else now + timedelta(days=end)
    scans = [models.TrackingEvent(time=placed_at + timedelta(days=1), place="上海", text="商家已发货，疾鹿速运已揽收")]
    scans += [models.TrackingEvent(time=delivered_at, place="上海", text="已签收，放在前台")] if delivered_at else []
    shipment = models.Shipment(
        id=f"{order_id}-S1",
        carrier="疾鹿速运",
        tracking_number=f"JL{order_id[-6:]}",
        status=parcel or "in_transit",
        promised_by=now + timedelta(days=promised),
        shipped_at=placed_at + timedelta(days=1),
        delivered_at=delivered_at,
        events=scans,
    )
    order = models.Order(
        id=order_id,
        customer_id="C1",
        status=status,
        placed_at=placed_at,
        ships_by=None if ships is None else now + timedelta(days=ships),
        delivered_at=delivered_at,
        total_cents=9900,
        region="310000",
        recipient_name="安",
        recipient_phone=PHONE,
        recipient_address="上海市静安区延平路 1 号",
        phone_tail_index=models.phone_tail_index(order_id, PHONE),
        lines=[
            models.OrderLine(
                id=f"{order_id}-1", sku_id=name, product_name=name, spec="标准", quantity=1, unit_price_cents=9900
            )
        ],
        shipments=[shipment] if parcel else [],
    )
    return sent_by(order)


def entities(text: str, **more: tuple[str, Any]) -> list[dict[str, Any]]:
    """The values in ``text``; ``more`` are names and categories of goods: words and value."""
    normal = normalize(text)
    found = [(find.entity, *normal.span(find.start, find.end), find.value) for find in read(normal.text)]
    found += [(kind, text.index(words), text.index(words) + len(words), value) for kind, (words, value) in more.items()]
    return [{"entity": kind, "start": start, "end": end, "value": value} for kind, start, end, value in found]


class Customer:
    """One conversation with a flow on top; slots and focus go on from action to action."""

    def __init__(self, flow: str, sender: str = "web:ann", **slots: Any) -> None:
        self.sender, self.slots = sender, dict[str, Any].fromkeys(DOMAIN["slots"]) | slots
        self.frame: dict[str, Any] = {
            "flow": flow,
            "intent": flow,
            "key": "m1",
            "began": 1,
            "status": "open",
            "asks": {},
        }
        self.attempt, self.turn = 1, 0
        self.events: list[dict[str, Any]] = []
        self.message: dict[str, Any] = {}
        self.told: list[dict[str, Any]] = []  # the messages of the last action

    def says(
        self,
        text: str,
        *,
        acts: tuple[str, ...] = (),
        topic: str | None = None,
        address: str | None = None,
        **more: Any,
    ) -> Customer:
        self.turn += 1
        self.message = {
            "text": text,
            "intent": {"name": more.pop("intent", "inform"), "confidence": 0.9},
            "entities": entities(text, **more),
            "acts": list(acts),
            "topic": topic,
        }
        event = {"event": "user", "text": text, "parse_data": self.message, "message_id": f"m{self.turn}"}
        self.events.append({**event, "metadata": {"address": address} if address else {}})
        self.slots.update(problem=None, heard=None)
        return self

    async def meets(self, action: Action) -> list[str]:
        """The responses that the action says, each of which must be able to say all of its variants."""
        self.slots["dialogue"] = {"turn": self.turn, "attempt": self.attempt, "stack": [self.frame]}
        slots = json.loads(json.dumps(self.slots))
        tracker = Tracker(self.sender, slots, self.message, self.events, False, None, {}, "action_listen")
        dispatcher = CollectingDispatcher()
        for event in await action.run(dispatcher, tracker, DOMAIN):
            assert event["event"] == "slot"
            assert event["name"] in DOMAIN["slots"]
            self.slots[event["name"]] = event["value"]
        self.told = dispatcher.messages
        for message in self.told:
            self._check(message)
        return [message["response"] for message in self.told]

    def _check(self, message: dict[str, Any]) -> None:
        for variant in DOMAIN["responses"][message["response"]]:
            text = variant["text"].format_map({**self.slots, **message})
            assert "None" not in text, text
            own = [(one["title"], one["payload"].format_map(message)) for one in variant.get("buttons", ())]
            titles = [title for title, _ in own] + [one["title"] for one in message["buttons"]]
            assert len(titles) == len(set(titles)), f"two equal buttons in {message['response']}"
            for _, payload in own:
                assert payload.count("{") == payload.count("}")

    def text(self, variant: int = 0) -> str:
        """Of the last message, in Chinese."""
        message = self.told[-1]
        variants = [one for one in DOMAIN["responses"][message["response"]] if not one.get("condition")]
        return str(variants[variant]["text"].format_map({**self.slots, **message}))

    @property
    def focus(self) -> dict[str, Any]:
        return self.slots["focus"] or {}

    async def hears(self, validation: Action, **heard: Any) -> dict[str, Any]:
        """As the flows do it: what the message says to the flow."""
        self.slots.update(heard=heard or None, confirmed=None, refusal=None)
        if heard:
            self.slots["summary"] = None
        await self.meets(validation)
        self.slots["heard"] = None
        return self.slots

    def confirms(self, **values: Any) -> Customer:
        """A yes to the summary that stands there, or to ``values``."""
        self.slots["confirmed"] = digest(values) if values else self.slots["summary"]
        return self
