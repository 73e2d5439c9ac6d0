"""A database as the last release (revision 0009) left it in a shop: every table has rows, every state is there.

Written without the models of today, with the tables that the database has at that revision: values are sealed and
hashed as that release did it. What happened, order by order:

| order    | whose       | state                                 | lines                                  |
|----------|-------------|---------------------------------------|----------------------------------------|
| ORD50001 | 林晓 (C1)    | waits for payment                     | a kettle                               |
| ORD50002 | 林晓 (C1)    | paid, of two suppliers                | two shirts, three mooncakes            |
| ORD50003 | 林晓 (C1)    | presale                               | a tablet                               |
| ORD50004 | 林晓 (C1)    | shipped in two parcels, one is late   | five shirts, a kettle                  |
| ORD50005 | 林晓 (C1)    | delivered                             | five shirts                            |
| ORD50006 | 陈默 (C2)    | completed, a course that was begun    | a course                               |
| ORD50007 | 陈默 (C2)    | cancelled                             | a kettle                               |
| ORD50008 | 陈默 (C2)    | delivered                             | two kettles, a tablet, a shirt, mooncakes |
| ORD50009 | 陈默 (C2)    | shipped, the parcel is lost           | a tablet                               |
| ORD12345 | 苏可 (C900001) | delivered, of the demo              | a lipstick                             |
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, MetaData, func, insert, select

from privacy import KeyRing, current_ring, verify_keyring
from privacy.cipher import seal, unseal
from privacy.columns import blind_index
from privacy.conversations import conversation_of, seal_events
from storage import WRITES, create_engine, migrate

REVISION = "0009"
NOW = datetime(2026, 3, 11, 2, 0, tzinfo=UTC)

SEALED = {
    "customer": ("name", "phone", "address"),
    "orders": ("recipient_name", "recipient_phone", "recipient_address"),
    "ticket": ("note",),
    "ticket_event": ("note",),
    "invoice": ("title", "tax_number", "email"),
    "handoff": ("sender", "operator"),
    "outbox": ("message_id", "text", "messages"),
    "misunderstood": ("text", "guesses", "intent"),
    "complaint": ("words",),
    "conversation_view": ("operator",),
}
"""The sealed columns of the last release."""

Rows = Iterable[Mapping[str, Any]]


async def fill(url: str) -> None:
    """Makes the empty database at ``url`` that of a shop with the last release."""
    await migrate(url, REVISION)
    engine = create_engine(url)
    async with engine.execution_options(**WRITES).begin() as connection:
        await connection.run_sync(_write)
    await engine.dispose()


def read(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table of that revision, opened, in the order of its key."""
    ring = current_ring()
    found: dict[str, list[dict[str, Any]]] = {}
    for table in _tables(connection).sorted_tables:
        rows = connection.execute(select(table).order_by(*table.primary_key)).mappings()
        found[table.name] = [
            {
                column: unseal(ring, bytes(value), _place(table, column, row)).decode()
                if value is not None and column in SEALED.get(table.name, ())
                else value.replace(tzinfo=UTC)
                if isinstance(value, datetime)
                else value
                for column, value in row.items()
            }
            for row in rows
        ]
    return found


def _write(connection: Connection) -> None:
    ring, there = verify_keyring(connection), _tables(connection)
    for name, rows in _rows(ring).items():
        table = there.tables[name]
        for row in rows:
            sealed = {
                column: seal(ring, row[column].encode(), _place(table, column, row))
                for column in SEALED.get(name, ())
                if row.get(column) is not None
            }
            connection.execute(insert(table), {**row, **sealed})
    if connection.dialect.name == "postgresql":
        for table in there.sorted_tables:
            for column in table.primary_key:
                if column.server_default is not None:  # numbered by the database, which has to go on behind the last
                    last = select(func.max(column)).scalar_subquery()
                    sequence = func.pg_get_serial_sequence(table.name, column.name)
                    connection.execute(select(func.setval(sequence, last)))


def _tables(connection: Connection) -> MetaData:
    metadata = MetaData()
    metadata.reflect(connection)
    return metadata


def _place(table: Any, column: str, row: Any) -> bytes:
    owner = "order" if table.name == "orders" else table.name
    return "\x1e".join((f"{owner}.{column}", "\x1f".join(str(row[part.name]) for part in table.primary_key))).encode()


def _hashed(value: str, purpose: str) -> str:
    return blind_index(hashlib.sha256(value.encode()).hexdigest(), purpose)


def sender_index(sender: str) -> str:
    return _hashed(sender, "channel_account.sender")


def _ago(**time: float) -> datetime:
    return NOW - timedelta(**time)


def _rows(ring: KeyRing) -> dict[str, Rows]:
    """By table, in an order in which what is pointed at is there already."""
    return {
        "demo": [{"id": 1, "seeded_at": _ago(days=90)}],
        "customer": _customers(),
        "channel_account": [
            {"sender_index": sender_index(sender), "customer_id": customer, "role": role, "bound_at": _ago(days=days)}
            for sender, customer, role, days in (
                ("web:lin", "C1", "customer", 30),
                ("wechat:oLin", "C1", "customer", 20),
                ("telegram:4711", "C2", "customer", 10),
                ("web:suke", "C900001", "customer", 5),
            )
        ],
        "supplier": [
            {"id": "S1", "name": "青禾服饰", "trade": "clothing", "region": "浙江", "demo": False},
            {"id": "S2", "name": "味来食品", "trade": "food", "region": "广东", "demo": False},
            {"id": "S3", "name": "安居电器", "trade": "appliance", "region": "华东", "demo": False},
            {"id": "S01", "name": "演示美妆", "trade": "beauty", "region": "上海", "demo": True},
        ],
        "product": [
            _product("P1", "S1", "棉质衬衫", "衬衫", "clothing", {"面料": "纯棉"}),
            _product("P2", "S2", "双黄莲蓉月饼", "月饼", "food", {"净含量": "500 g"}, fresh=True),
            _product("P3", "S3", "恒温电水壶", "水壶", "appliance", {"容量": "1.5 L"}, image_path="p3.webp"),
            _product("P4", "S3", "轻薄平板", "平板", "digital", {}),
            _product("P5", "S3", "摄影入门课", "课程", "course", {"课时": "12"}),
            _product("P6", "S1", "刻字工牌", "饰品", "clothing", {}, custom_made=True),
            _product("P001", "S01", "演示口红", "口红", "beauty", {"色号": "豆沙"}),
        ],
        "sku": [
            # allocated: what is ordered, paid and not shipped; reserved: held back by the supplier
            _sku("P1-1", 8900, 40, allocated=2, reserved=5),
            _sku("P1-2", 9900, 0),
            _sku("P2-1", 12800, 30, allocated=3),
            _sku("P3-1", 19900, 12, reserved=2),
            _sku("P4-1", 239900, 4, allocated=1),
            _sku("P5-1", 9900, 9999),
            _sku("P6-1", 4900, 3),
            _sku("P001-1", 15900, 7),
        ],
        "orders": _orders(),
        "order_line": [_line(*each) for each in LINES],
        "shipment": [
            _shipment("ORD50004-S1", "in_transit", shipped=3, promised=-1),
            _shipment("ORD50004-S2", "delayed", shipped=3, promised=1),
            _shipment("ORD50005-S1", "delivered", shipped=6, promised=4, delivered=4),
            _shipment("ORD50008-S1", "delivered", shipped=12, promised=9, delivered=10),
            _shipment("ORD50009-S1", "lost", shipped=20, promised=16),
            _shipment("ORD12345-S1", "delivered", shipped=5, promised=3, delivered=3),
        ],
        "tracking_event": [
            {"id": number, "shipment_id": parcel, "time": _ago(days=days), "place": place, "text": text}
            for number, (parcel, days, place, text) in enumerate(TRACKING, 1)
        ],
        "ticket": [_ticket(*each) for each in TICKETS],
        "ticket_line": [
            {"ticket_id": ticket, "order_line_id": line, "live": status not in ("rejected", "cancelled")}
            for ticket, _, status, lines, *_ in TICKETS
            for line in lines
        ],
        "ticket_event": [
            {
                "id": number,
                "ticket_id": ticket,
                "time": _ago(days=5) + timedelta(hours=step),
                "status": status,
                "actor": "customer" if step == 0 else "rule" if status == "approved" else "operator",
                "note": note if step == 0 else "",
            }
            for number, (ticket, step, status, note) in enumerate(
                (
                    (ticket, step, status, note)
                    for ticket, _, last, _, note, *_ in TICKETS
                    for step, status in enumerate(STEPS[last])
                ),
                1,
            )
        ],
        "coupon": [
            _coupon("CP1", "C1", "新人券", 1000, 5000),
            _coupon("CP2", "C1", "会员日券", 2000, 0, used=4),
            _coupon("CP3", "C2", "过期的券", 500, 0, valid=-3),
            _coupon("CP4", None, "见面礼", 500, 0, sender="web:passer"),
            _coupon("CP5", "C900001", "演示券", 300, 0),
        ],
        "invoice": [
            _invoice("IN1", "ORD50005", "personal", "个人", "issued", email="lin@example.com"),
            _invoice("IN2", "ORD50008", "company", "某某科技有限公司", "rejected", tax="91310000MA1FL4567"),
            _invoice("IN3", "ORD50008", "company", "某某科技有限公司", "requested", tax="91310000MA1FL4567K"),
        ],
        "ownership_proof": [
            {"sender_index": sender_index(sender), "order_id": order, "whole_phone": whole, "proven_at": _ago(days=2)}
            for sender, order, whole in (("web:passer", "ORD50005", False), ("web:passer", "ORD50008", True))
        ],
        "wrong_proofs": [
            _wrong("tail", "web:guesser", "ORD50005", tries=3),
            _wrong("tail", "", "ORD50005", tries=5, locked=True),
            _wrong("phone", "web:guesser", "", tries=2),
            _wrong("phone", "", "", "203.0.113.7", tries=9),
        ],
        "handoff": [
            _handoff(1, "web:lin", "asked", "ended", "小王", stars=5, resolved=True),
            _handoff(2, "web:lin", "complaint", "claimed", "小李"),
            _handoff(3, "telegram:4711", "stuck", "waiting"),
            _handoff(4, "web:passer", "not_understood", "withdrawn"),
            _handoff(5, "web:gone", "asked", "ended", "小王", resolved=False),
        ],
        "outbox": [_dispatch(*each) for each in DISPATCHES],
        "misunderstood": [
            _misunderstood(ring, 1, "web:lin", "那个啥来着", [["order_status", 0.251]]),
            _misunderstood(ring, 2, "web:lin", "嘎嘎", [], intent="greet"),
            _misunderstood(ring, 3, None, "从前的一句话", [["greet", 0.4]]),
        ],
        "complaint": [
            _complaint(ring, 1, "web:lin", "courier", "骑手骂人\n态度很差", order="ORD50004", enquiry=True),
            _complaint(ring, 2, "telegram:4711", "harmed", "起疹子了", settled=True),
        ],
        "conversation_view": [
            {
                "id": number,
                "conversation": conversation_of(ring, "web:lin"),
                "operator": operator,
                "viewed_at": _ago(days=1),
            }
            for number, operator in ((1, "小王"), (2, "小李"))
        ],
        "conversation_event": [
            vars(seal_events(ring, "web:lin", position, 0, [event]))
            for position, event in enumerate(
                (
                    {"event": "user", "text": "我想退货", "timestamp": _ago(hours=2).timestamp()},
                    {"event": "bot", "text": "请问订单号？", "timestamp": _ago(hours=2).timestamp()},
                )
            )
        ],
        "idempotency_record": [
            {
                "key_index": _hashed(key, "idempotency_record.key"),
                "command": command,
                "request_hash": _hashed(key + command, "idempotency_record.request"),
                "result_id": result,
                "created_at": _ago(days=1),
            }
            for key, command, result in (("k1", "create_ticket", "RT1"), ("k2", "handoff", "1"))
        ],
    }


def _customers() -> Rows:
    return [
        {
            "id": number,
            "name": name,
            "phone": phone,
            "phone_index": blind_index(phone, "customer.phone"),
            "address": address,
            "region": region,
            "registered_at": _ago(days=400),
            "demo": number.startswith("C9"),
        }
        for number, name, phone, address, region in (
            ("C1", "林晓", "13800005678", "浙江省杭州市西湖区文三路 1 号", "浙江"),
            ("C2", "陈默", "13900004321", "上海市静安区延平路 2 号", "上海"),
            ("C3", "没有订单", "13700001111", "四川省成都市武侯区 3 号", "华东"),
            ("C900001", "苏可", "13600002222", "广东省深圳市南山区 4 号", "广东"),
        )
    ]


def _orders() -> Rows:
    totals: dict[str, int] = {}
    for order, _, pieces, price, *_ in LINES:
        totals[order] = totals.get(order, 0) + pieces * price
    return [
        {
            "id": number,
            "customer_id": customer,
            "status": status,
            "placed_at": _ago(days=placed),
            "ships_by": _ago(days=ships) if ships is not None else None,
            "delivered_at": _ago(days=delivered) if delivered is not None else None,
            "total_cents": totals[number],
            "region": region,
            "recipient_name": "收货人",
            "recipient_phone": phone,
            "recipient_address": address,
            "phone_tail_index": blind_index(f"{number}:{phone[-4:]}", "order.phone_tail"),
        }
        for number, customer, status, placed, ships, delivered, region, phone, address in (
            ("ORD50001", "C1", "pending_payment", 0, None, None, "浙江", "13800005678", "浙江省杭州市西湖区 1 号"),
            ("ORD50002", "C1", "paid", 1, -1, None, "浙江", "13800005678", "浙江省杭州市西湖区 1 号"),
            ("ORD50003", "C1", "presale", 2, -20, None, "四川", "13800005678", "四川省成都市武侯区 9 号"),
            ("ORD50004", "C1", "shipped", 5, 3, None, "浙江", "13800005678", "浙江省杭州市西湖区 1 号"),
            ("ORD50005", "C1", "delivered", 8, 6, 4, "浙江", "13800005678", "浙江省杭州市西湖区 1 号"),
            ("ORD50006", "C2", "completed", 60, None, 60, "上海", "13900004321", "上海市静安区 2 号"),
            ("ORD50007", "C2", "cancelled", 30, 28, None, "上海", "13900004321", "上海市静安区 2 号"),
            ("ORD50008", "C2", "delivered", 14, 12, 10, "上海", "13900004321", "上海市静安区 2 号"),
            ("ORD50009", "C2", "shipped", 22, 20, None, "华东", "13900004321", "某地"),
            ("ORD12345", "C900001", "delivered", 7, 5, 3, "广东", "13600002222", "广东省深圳市南山区 4 号"),
        )
    ]


LINES: tuple[tuple[str, str, int, int, float | None], ...] = (
    # order, SKU, pieces, what one cost, begun so many days ago
    ("ORD50001", "P3-1", 1, 19900, None),
    ("ORD50002", "P1-1", 2, 8900, None),
    ("ORD50002", "P2-1", 3, 12800, None),
    ("ORD50003", "P4-1", 1, 239900, None),
    ("ORD50004", "P1-1", 5, 8900, None),
    ("ORD50004", "P3-1", 1, 18900, None),  # it cost less then
    ("ORD50005", "P1-1", 5, 8900, None),
    ("ORD50006", "P5-1", 1, 9900, 50),
    ("ORD50007", "P3-1", 1, 19900, None),
    ("ORD50008", "P3-1", 2, 19900, None),
    ("ORD50008", "P4-1", 1, 239900, None),
    ("ORD50008", "P1-1", 1, 8900, None),
    ("ORD50008", "P2-1", 1, 12800, None),
    ("ORD50009", "P4-1", 1, 239900, None),
    ("ORD12345", "P001-1", 1, 15900, None),
)

TRACKING = (
    ("ORD50004-S1", 3, "杭州", "已揽收"),
    ("ORD50004-S1", 2, "杭州", "运输中"),
    ("ORD50004-S2", 3, "广州", "已揽收"),
    ("ORD50005-S1", 6, "杭州", "已揽收"),
    ("ORD50005-S1", 4, "杭州", "已签收"),
    ("ORD50008-S1", 10, "上海", "已签收"),
    ("ORD50009-S1", 18, "武汉", "包裹异常"),
    ("ORD12345-S1", 3, "深圳", "已签收"),
)

TICKETS: tuple[tuple[str, str, str, tuple[str, ...], str, str, int], ...] = (
    # id, kind, status, lines, the customer's words, reason, cents back
    ("RT1", "return", "open", ("ORD50005-1",), "五件里两件开线", "quality", 44500),
    ("RT2", "return", "approved", ("ORD50008-1",), "", "dislike", 39800),
    ("RT3", "return", "goods_received", ("ORD50008-2",), "屏幕有划痕", "damaged", 239900),
    ("RT4", "refund", "refunded", ("ORD50009-1",), "一直没到", "late_delivery", 239900),
    ("RT5", "exchange", "exchanged", ("ORD50008-3",), "换大一码", "wrong_size", 0),
    ("RT6", "return", "rejected", ("ORD50008-4",), "不好吃", "dislike", 0),
    ("RT7", "return", "cancelled", ("ORD50005-1",), "点错了", "changed_mind", 44500),
    ("RT8", "exchange", "closed", ("ORD12345-1",), "", "wrong_item", 0),
    ("RT9", "refund", "cancelled", ("ORD50002-1", "ORD50002-2"), "先不退了", "changed_mind", 56200),
)

STEPS = {
    "open": ("open",),
    "approved": ("open", "approved"),
    "goods_received": ("open", "approved", "goods_received"),
    "refunded": ("open", "approved", "refunded"),
    "exchanged": ("open", "approved", "goods_received", "exchanged"),
    "closed": ("open", "approved", "goods_received", "exchanged", "closed"),
    "rejected": ("open", "rejected"),
    "cancelled": ("open", "cancelled"),
}

DISPATCHES: tuple[tuple[str, int, int, str, str, str, tuple[str, ...] | None], ...] = (
    # sender, position, hand-off, event, message id, text, what the bot made of it (None: it does not know yet)
    ("web:lin", 1, 1, "pause", "desk-1-pause", "小王", ("客服小王来了",)),
    ("web:lin", 2, 1, "said", "o1", "您好，我来处理", ("您好，我来处理",)),
    ("web:lin", 3, 1, "resume", "desk-1-resume", "", ("掌柜回来了", "请您评价")),
    ("web:lin", 4, 2, "pause", "desk-2-pause", "小李", ("客服小李来了",)),
    ("web:lin", 5, 2, "said", "o2", "已经帮您催了", None),
    ("web:lin", 6, 2, "said", "o3", "请稍等", None),
    ("web:gone", 1, 5, "pause", "desk-5-pause", "小王", ()),
    ("web:gone", 2, 5, "resume", "desk-5-resume", "", None),
)


def _product(number: str, supplier: str, name: str, category: str, trade: str, told: object, **more: Any) -> Any:
    known = {"id": number, "supplier_id": supplier, "name": name, "brand": "自家", "category": category, "trade": trade}
    return known | {"fresh": False, "custom_made": False, "attributes": told, "image_path": None} | more


def _sku(number: str, price: int, quantity: int, allocated: int = 0, reserved: int = 0) -> Any:
    known = {"id": number, "product_id": number.split("-")[0], "spec": "默认", "price_cents": price}
    return known | {"quantity": quantity, "allocated": allocated, "reserved": reserved}


def _line(order: str, sku: str, pieces: int, price: int, begun: float | None) -> Any:
    before = [each for each in LINES if each[0] == order]
    position = [each[1] for each in before].index(sku) + 1
    return {
        "id": f"{order}-{position}",
        "order_id": order,
        "sku_id": sku,
        "product_name": f"商品 {sku}",
        "spec": "默认",
        "quantity": pieces,
        "unit_price_cents": price,
        "activated_at": None if begun is None else _ago(days=begun),
    }


def _shipment(number: str, status: str, shipped: float, promised: float, delivered: float | None = None) -> Any:
    return {
        "id": number,
        "order_id": number.split("-")[0],
        "carrier": "顺丰速运",
        "tracking_number": f"SF{number[3:8]}{number[-1]}",
        "status": status,
        "promised_by": _ago(days=promised),
        "shipped_at": _ago(days=shipped),
        "delivered_at": None if delivered is None else _ago(days=delivered),
    }


def _ticket(
    number: str, kind: str, status: str, lines: tuple[str, ...], note: str, reason: str, refund_cents: int
) -> Any:
    return {
        "id": number,
        "order_id": lines[0].split("-")[0],
        "kind": kind,
        "status": status,
        "reason": reason,
        "summary": "商品",
        "note": note,
        "rule": "quality_return",
        "freight_payer": "nobody" if kind == "refund" else "shop",
        "auto_approve": "approved" in STEPS[status],
        "handling_days": 3,
        "refund_cents": refund_cents,
        "due_on": date(2026, 3, 14),
        "created_at": _ago(days=5),
    }


def _coupon(
    number: str,
    customer: str | None,
    title: str,
    off: int,
    least: int,
    *,
    sender: str | None = None,
    used: float | None = None,
    valid: float = 20,
) -> Any:
    return {
        "id": number,
        "customer_id": customer,
        "sender_index": None if sender is None else sender_index(sender),
        "title": title,
        "off_cents": off,
        "min_spend_cents": least,
        "granted_at": _ago(days=10),
        "valid_until": _ago(days=-valid),
        "used_at": None if used is None else _ago(days=used),
    }


def _invoice(
    number: str,
    order: str,
    kind: str,
    title: str,
    status: str,
    *,
    tax: str | None = None,
    email: str | None = None,
) -> Any:
    known = {"id": number, "order_id": order, "kind": kind, "title": title, "tax_number": tax, "email": email}
    return known | {"amount_cents": 100, "status": status, "created_at": _ago(days=2)}


def _wrong(way: str, sender: str, order: str, address: str = "", *, tries: int, locked: bool = False) -> Any:
    return {
        "way": way,
        "sender_index": sender and sender_index(sender),
        "order_index": order and blind_index(order, "wrong_proofs.order"),
        "address_index": address and blind_index(address, "wrong_proofs.address"),
        "tries": tries,
        "counted_until": _ago(hours=-1),
        "times_locked": int(locked),
        "locked_until": _ago(hours=-2) if locked else None,
        "forgotten_at": _ago(days=-7),
    }


def _handoff(
    number: int,
    sender: str,
    reason: str,
    status: str,
    operator: str | None = None,
    *,
    resolved: bool | None = None,
    stars: int | None = None,
) -> Any:
    claimed = operator is not None
    return {
        "id": number,
        "sender": sender,
        "sender_index": sender_index(sender),
        "reason": reason,
        "status": status,
        "requested_at": _ago(hours=12 - number),
        "operator": operator,
        "claimed_at": _ago(hours=11 - number) if claimed else None,
        "first_answer_at": _ago(hours=11 - number) if claimed else None,
        "ended_at": _ago(hours=2) if status in ("ended", "withdrawn") else None,
        "resolved": resolved,
        "stars": stars,
    }


def _dispatch(
    sender: str, position: int, handoff: int, event: str, message: str, text: str, shown: tuple[str, ...] | None
) -> Any:
    return {
        "sender_index": sender_index(sender),
        "position": position,
        "handoff_id": handoff,
        "message_index": _hashed(message, "outbox.message"),
        "message_id": message,
        "event": event,
        "text": text,
        "written_at": _ago(hours=10 - position),
        "messages": None if shown is None else json.dumps([{"text": each} for each in shown], ensure_ascii=False),
    }


def _misunderstood(
    ring: KeyRing, number: int, sender: str | None, text: str, guesses: object, intent: str | None = None
) -> Any:
    return {
        "id": number,
        "message_index": _hashed(f"{sender} m{number}", "misunderstood.message"),
        "conversation": None if sender is None else conversation_of(ring, sender),
        "text": text,
        "guesses": json.dumps(guesses),
        "noted_at": _ago(days=1),
        "settled_at": _ago(hours=1) if intent else None,
        "intent": intent,
    }


def _complaint(
    ring: KeyRing,
    number: int,
    sender: str,
    kind: str,
    words: str,
    *,
    order: str | None = None,
    enquiry: bool = False,
    settled: bool = False,
) -> Any:
    return {
        "id": number,
        "conversation": conversation_of(ring, sender),
        "kind": kind,
        "words": words,
        "message_index": _hashed(f"{sender} c{number}", "complaint.message"),
        "order_id": order,
        "enquiry": enquiry,
        "noted_at": _ago(days=1),
        "settled_at": _ago(hours=1) if settled else None,
    }
