"""After-sales tickets and cancelled orders: what is asked, refused, written and said, against a real mall.

The slots are set as the stack of flows sets them; the mall is the small one of tests/mall_adapter.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, time, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml
from rasa_sdk import Action, Tracker
from rasa_sdk.executor import CollectingDispatcher
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

import settings
from bot.actions import (
    cancellations,
    malls,
    request_questions,
    request_refusals,
    request_summary,
    request_values,
    request_verdict,
    request_words,
    returns,
    ticket_progress,
)
from bot.actions.conversation import digest
from bot.actions.focus import Focus
from bot.actions.knowledge import say_problem
from bot.actions.turn import Turn
from mall_adapter import Desk, SqlMall, models
from mall_adapter.values import OrderStatus, Reason, Sku, Ticket, TicketKind, TicketRequest, TicketStatus
from storage import WRITES, create_engine, migrate
from tests.mall_adapter.conftest import NOW, Clock, add_small_mall
from tests.mall_adapter.goods import add_sku, empty
from tests.mall_adapter.offices import advance_ticket, ship_order

DOMAIN: dict[str, Any] = yaml.safe_load((settings.ROOT / "bot/domain.yml").read_text("utf-8"))
ACTIONS: dict[str, Action] = {
    action.name(): action
    for module in (
        returns,
        request_summary,
        request_refusals,
        request_questions,
        request_verdict,
        ticket_progress,
        cancellations,
    )
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Action) and kind.__module__ == module.__name__
    for action in [kind()]
}
SHOES, PAIRS, LIPSTICK = "ORD10001-1", "ORD10002-1", "ORD10002-2"


@pytest.fixture(scope="module")
def address(house: Path) -> str:
    url = f"sqlite+aiosqlite:///{house}/returns.db"
    asyncio.run(migrate(url))
    return url


@pytest.fixture
async def engine(address: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(address)
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        await empty(session)
        add_small_mall(session)
    yield engine
    await engine.dispose()


@pytest.fixture
async def mall(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> SqlMall:
    mall = SqlMall(engine, clock=Clock())
    monkeypatch.setattr(malls._mall, "room", mall)
    monkeypatch.setattr(malls._desk, "room", Desk(engine, (time.min, time.max)))
    return mall


async def change(engine: AsyncEngine, order_id: str, **values: Any) -> None:
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        await session.execute(update(models.Order).where(models.Order.id == order_id).values(**values))


def entity(text: str, name: str, words: str, value: Any = None) -> dict[str, Any]:
    start = text.index(words)
    return {"entity": name, "value": words if value is None else value, "start": start, "end": start + len(words)}


class Talk:
    """One conversation with one flow open. ``language`` is what the answers are rendered in, and each is said as the
    house says it: the first variant that has not been said."""

    def __init__(self, flow: str, intent: str, sender: str = "web:zhou", key: str = "m1", **slots: Any) -> None:
        self.sender, self.slots = sender, dict[str, Any].fromkeys(DOMAIN["slots"]) | slots
        self.state: dict[str, Any] = {"turn": 0, "attempt": 1, "stack": []}
        self.frame = {"flow": flow, "intent": intent, "key": key, "began": 1, "status": "open"}
        self.events: list[dict[str, Any]] = []
        self.message: dict[str, Any] = {"text": "", "entities": [], "intent": {"name": intent, "confidence": 1.0}}
        self.said: list[str] = []
        self.buttons: dict[str, str] = {}
        self.responses: list[str] = []
        self.numbers = count(1)

    def customer(
        self, text: str, *entities: dict[str, Any], acts: tuple[str, ...] = (), intent: str = "inform"
    ) -> Talk:
        self.state["turn"] += 1
        parse = {
            "text": text,
            "intent": {"name": intent, "confidence": 0.9},
            "entities": list(entities),
            "acts": list(acts),
        }
        self.message = parse
        message_id = f"m{next(self.numbers)}"
        self.events.append({"event": "user", "text": text, "parse_data": parse, "message_id": message_id})
        self.slots.update(problem=None, heard=None)
        return self

    async def hears(self, **heard: Any) -> dict[str, Any]:
        """The validation of the flow with what it heard. As the stack does, an old refusal or summary falls."""
        if heard:
            self.slots.update(heard=heard, confirmed=None, summary=None, refusal=None)
        await self.does(f"validate_{self.frame['flow']}")
        self.slots["heard"] = None
        return self.slots

    async def does(self, name: str) -> str:
        """What the action says."""
        self.state["stack"] = [self.frame]
        dispatcher = CollectingDispatcher()
        for event in await ACTIONS[name].run(dispatcher, self.tracker(), DOMAIN):
            slot: dict[str, Any] = dict(event)
            assert slot["event"] == "slot" and slot["name"] in DOMAIN["slots"]
            self.slots[slot["name"]] = slot["value"]
        return "\n".join(self._render(message) for message in dispatcher.messages)

    def tracker(self) -> Tracker:
        slots = json.loads(json.dumps({**self.slots, "dialogue": self.state}))
        return Tracker(self.sender, slots, self.message, self.events, False, None, {}, "action_listen")

    def _render(self, message: dict[str, Any]) -> str:
        name, values = message["response"], {k: v for k, v in message.items() if k not in ("response", "buttons")}
        self.responses.append(name)
        variants = [
            variant
            for variant in DOMAIN["responses"][name]
            if bool(variant.get("condition")) == (self.slots.get("language") == "en")
        ]
        texts = [variant["text"].format_map({**self.slots, **values}) for variant in variants]
        text: str = next((text for text in texts if text not in self.said), texts[0])
        assert "{" not in text and "None" not in text, text
        self.said.append(text)
        own = [(one["title"], one["payload"].format()) for one in variants[texts.index(text)].get("buttons", ())]
        told = [(one["title"], one["payload"]) for one in message["buttons"]]
        assert len({title for title, _ in own + told}) == len(own + told), "two equal buttons"
        self.buttons = dict(own + told)
        return text

    async def asks(self, slot: str, attempt: int = 1, trouble: str | None = None) -> str:
        self.state["attempt"] = attempt
        if trouble:
            self.slots["problem"] = {"slot": slot, "name": trouble}
        said = await self.does(f"action_ask_{slot}")
        self.frame |= {"asked": slot, "asked_in": self.state["turn"]}
        return said

    async def confirms(self) -> None:
        self.customer("确认提交", acts=("yes",), intent="affirm")
        self.slots["confirmed"] = self.slots["summary"]


def a_return(sender: str = "web:zhou", **slots: Any) -> Talk:
    """Of the running shoes, by somebody whose account is bound."""
    return Talk("after_sales", "request_return", sender, **{"order_id": "ORD10001", "ticket_kind": "return", **slots})


async def written(mall: SqlMall, order_id: str = "ORD10001", **request: Any) -> Ticket:
    values = {"kind": TicketKind.RETURN, "reason": Reason.DISLIKE, "opened": False, **request}
    return await mall.create_ticket("web:zhou", TicketRequest(order_id, **values), f"k {order_id} {values}")


# ---- lines


CATEGORY_SHOES = ("category", "跑步鞋")


@pytest.mark.parametrize(
    ("text", "entities", "acts", "heard", "line"),
    [
        ("第二个", [("ordinal", "第二个", 2)], (), {"by": "ordinal", "value": 2}, LIPSTICK),
        ("2", [], (), {"words": "2"}, LIPSTICK),
        ("口红那个", [("category", "口红", "口红")], (), {"by": "category", "value": "口红"}, LIPSTICK),
        ("豆沙色的", [], (), {"words": "豆沙色的"}, LIPSTICK),
        ("跑步鞋", [("category", "跑步鞋", "跑步鞋")], (), {"by": "category", "value": "跑步鞋"}, PAIRS),
        ("都退", [], ("all",), {"words": "都退"}, "all"),
        (
            "第一个和第二个",
            [("ordinal", "第一个", 1), ("ordinal", "第二个", 2)],
            (),
            {"by": "ordinal", "value": 1},
            "all",
        ),
        (
            "不用都退，口红就行",
            [("category", "口红", "口红")],
            ("all", "negation"),
            {"by": "category", "value": "口红"},
            LIPSTICK,
        ),
        ("[全部]", [], (), "all", "all"),
        ("[口红]", [], (), LIPSTICK, LIPSTICK),
    ],
)
async def test_lines_are_chosen_by_place_name_words_or_all(
    mall: SqlMall, text: str, entities: list[Any], acts: tuple[str, ...], heard: Any, line: str
) -> None:
    talk = a_return(order_id="ORD10002").customer("退货")
    assert (await talk.hears())["several_lines"] is True
    assert "哪一件" in await talk.asks("order_line")
    assert list(talk.buttons)[-1] == "全部"
    talk.customer(text, *[entity(text, name, words, value) for name, words, value in entities], acts=acts)
    assert (await talk.hears(order_line=heard))["order_line"] == line
    assert talk.slots["problem"] is None


async def test_what_is_no_line_is_said_and_the_lines_are_shown(mall: SqlMall) -> None:
    talk = a_return(order_id="ORD10002").customer("退货")
    await talk.hears()
    said = [await talk.asks("order_line")]
    for attempt in (2, 3):
        talk.customer("那个面霜")
        await talk.hears(order_line={"words": "那个面霜"})
        assert talk.slots["order_line"] is None
        said.append(await talk.asks("order_line", attempt))
        assert "那个面霜" in said[-1] and "2. 花间丝绒口红 豆沙色" in said[-1]
    said += [await talk.asks("order_line", 2, "lost"), await talk.asks("order_line", 3, "lost")]
    assert "没对上" in said[3] and "转人工" in talk.buttons
    assert len(set(said)) == len(said)


async def test_goods_named_before_the_order_was_known_are_not_asked_for(mall: SqlMall) -> None:
    talk = a_return(order_id=None, sender="web:guest").customer("我要退口红", entity("我要退口红", "category", "口红"))
    await talk.hears()
    talk.customer("ORD10002")
    await talk.hears(order_id="ORD10002")
    talk.customer("5678")
    slots = await talk.hears(phone_tail="5678")
    assert (slots["proved"], slots["order_line"]) == ("ORD10002", LIPSTICK)


async def test_pieces_that_are_counted_are_all_lines(mall: SqlMall, engine: AsyncEngine) -> None:
    text = "3件都退"
    talk = a_return(order_id="ORD10002").customer(text, entity(text, "quantity", "3件", 3))
    assert (await talk.hears(quantity=3))["order_line"] == "all"


async def test_only_the_line_without_a_ticket_is_left(mall: SqlMall) -> None:
    ticket = await written(mall, "ORD10002", reason=Reason.QUALITY, line_ids=(PAIRS,))
    talk = a_return(order_id="ORD10002").customer("退货")
    slots = await talk.hears()
    assert (slots["order_line"], slots["several_lines"], slots["refusal"]) == (LIPSTICK, False, None)

    text = "我要退那双跑步鞋"
    talk = a_return(order_id="ORD10002").customer(text, entity(text, "category", "跑步鞋"))
    assert (await talk.hears())["refusal"] == {"name": "order_has_ticket", "ticket": ticket.id, "order": "ORD10002"}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("就口红，跑步鞋不退", LIPSTICK),
        ("跑步鞋不退", LIPSTICK),
        ("全部 啊不 就口红 跑步鞋我说了不退", LIPSTICK),
        ("不退口红退跑步鞋", PAIRS),
        ("口红我留着", PAIRS),
        ("跑步鞋 开胶了气死我", PAIRS),
        ("跑步鞋没坏，就是穿着显胖", PAIRS),
        ("口红是好的，跑步鞋开胶了", PAIRS),
        ("豆沙的 质量太差 你们怎么还不退", LIPSTICK),
    ],
)
async def test_goods_that_are_left_out_are_not_meant(mall: SqlMall, text: str, line: str) -> None:
    talk = a_return(order_id="ORD10002").customer("退货")
    await talk.hears()
    await talk.asks("order_line")
    goods = [entity(text, "category", name) for name in ("口红", "跑步鞋") if name in text]
    told = {"order_line": {"by": "category", "value": goods[0]["value"]}} if goods else {"reason": "quality"}
    talk.customer(text, *goods, acts=("all",) if "全部" in text else ())
    assert (await talk.hears(**told))["order_line"] == line


async def test_goods_left_out_later_leave_the_request(mall: SqlMall) -> None:
    talk = a_return(order_id="ORD10002", order_line="all", reason="quality").customer("退货")
    assert (await talk.hears())["order_line"] == "all"
    text = "口红我说了不退"
    slots = await talk.customer(text, entity(text, "category", "口红")).hears(reason="quality")
    assert slots["order_line"] == PAIRS
    assert "口红" not in await talk.does("action_ask_confirm_ticket")


async def test_goods_that_were_chosen_stay_in_the_request_though_nothing_is_wrong(mall: SqlMall) -> None:
    talk = a_return(order_id="ORD10002", order_line=LIPSTICK).customer("退货")
    await talk.hears()
    await talk.asks("reason")
    text = "口红没毛病，跟跑步鞋不搭"
    talk.customer(text, *[entity(text, "category", name) for name in ("口红", "跑步鞋")])
    assert (await talk.hears(reason="dislike"))["order_line"] == LIPSTICK


async def test_of_what_no_rule_takes_back_no_part_is_promised(mall: SqlMall, engine: AsyncEngine) -> None:
    await change(engine, "ORD10002", delivered_at=NOW - timedelta(days=60))
    text = "两双里只退一双"
    talk = a_return(order_id="ORD10002", order_line=PAIRS, reason="dislike")
    talk.customer(text, entity(text, "quantity", "一双", 1))
    assert (await talk.hears(quantity=1))["refusal"]["name"] == "not_allowed"


async def test_fewer_pieces_go_back_and_the_rest_stays(mall: SqlMall) -> None:
    text = "两双里就一双开胶，只退一双"
    talk = a_return(order_id="ORD10002", order_line=PAIRS, reason="quality")
    talk.customer(text, entity(text, "quantity", "一双", 1))
    slots = await talk.hears(quantity=1)
    assert (slots["refusal"], slots["needs_quantity"]) == (None, False)
    said = await talk.does("action_ask_confirm_ticket")
    assert "黑色 42码 ×1" in said and "¥399" in said and "一共 2 件，这次只办其中 1 件" in said
    await talk.confirms()
    await talk.does("action_create_return_ticket")
    [ticket] = await mall.tickets_of("web:zhou")
    assert (ticket.summary, ticket.decision.refund_cents) == ("云跑缓震跑步鞋 黑色 42码 ×1", 39_900)
    assert "黑色 42码 ×1" in await a_return(order_id="ORD10002").customer("退货进度").does("action_ticket_status")

    talk = a_return(order_id="ORD10002").customer("跑步鞋也退", entity("跑步鞋也退", "category", "跑步鞋"))
    slots = await talk.hears(reason="quality")  # the pair that is left
    assert (slots["order_line"], slots["refusal"], slots["needs_quantity"]) == (PAIRS, None, False)
    assert "黑色 42码 ×1" in await talk.does("action_ask_confirm_ticket")


@pytest.mark.parametrize(
    ("text", "acts", "quantity"),
    [("1", (), 1), ("就一双", (), 1), ("大概两吧", (), 2), ("都坏了", ("all",), 2), ("不知道", (), None)],
)
async def test_how_many_is_asked_where_it_matters(
    mall: SqlMall, text: str, acts: tuple[str, ...], quantity: int | None
) -> None:
    talk = a_return(order_id="ORD10002", order_line=PAIRS, reason="damaged").customer("收到就是坏的")
    slots = await talk.hears()
    assert (slots["needs_quantity"], slots["quantity"]) == (True, None)
    assert "2 件" in await talk.asks("quantity")
    assert list(talk.buttons) == ["1 件", "2 件都要办"]
    slots = await talk.customer(text, acts=acts).hears(quantity={"words": text})
    assert slots["quantity"] == quantity
    assert slots["needs_quantity"] is (quantity is None)


@pytest.mark.parametrize(("reason", "line"), [("dislike", PAIRS), ("damaged", LIPSTICK), ("damaged", "all")])
async def test_how_many_is_not_asked_where_it_is_plain(mall: SqlMall, reason: str, line: str) -> None:
    talk = a_return(order_id="ORD10002", order_line=line, reason=reason, opened="no").customer("退货")
    slots = await talk.hears()
    assert (slots["needs_quantity"], slots["refusal"]) == (False, None)


@pytest.mark.parametrize(
    ("text", "counts", "quantity"),
    [
        ("坏了一双", {"一双": 1}, 1),
        ("买了两双 一双是坏的", {"两双": 2, "一双": 1}, 1),
        ("买了两双 收到是坏的", {"两双": 2}, None),
    ],
)
async def test_how_many_may_have_been_said_before_it_is_asked(
    mall: SqlMall, text: str, counts: dict[str, int], quantity: int | None
) -> None:
    told = [entity(text, "quantity", words, count) for words, count in counts.items()]
    talk = a_return(order_id="ORD10002", order_line=PAIRS).customer(text, *told)
    slots = await talk.hears(reason="damaged")
    assert (slots["quantity"], slots["needs_quantity"]) == (quantity, quantity is None)


async def test_more_pieces_than_there_are(mall: SqlMall) -> None:
    text = "三双都开胶"
    talk = a_return(order_id="ORD10002", order_line=PAIRS, reason="quality")
    talk.customer(text, entity(text, "quantity", "三双", 3))
    slots = await talk.hears(quantity=3)
    assert (slots["needs_quantity"], slots["quantity"], slots["problem"]["name"]) == (True, None, "too_many_pieces")
    assert "2 件" in await talk.asks("quantity")


# ---- reasons, sizes, quantities


@pytest.mark.parametrize(
    ("text", "entities", "heard", "reason", "note"),
    [
        ("颜色不喜欢", [("reason", "颜色不喜欢", "dislike")], "dislike", "dislike", None),
        ("就是颜色不喜欢呀", [("reason", "颜色不喜欢", "dislike")], "dislike", "dislike", None),
        ("我家狗看见它就叫", [("mention", "它", "last")], {"words": "…"}, "other", "我家狗看见它就叫"),
        (
            "尺码小了，脚背高塞得疼",
            [("reason", "尺码小了", "wrong_size")],
            "wrong_size",
            "wrong_size",
            "尺码小了，脚背高塞得疼",
        ),
        (
            "不喜欢，鞋底还开胶了",
            [("reason", "不喜欢", "dislike"), ("reason", "开胶", "quality")],
            "dislike",
            "quality",
            "不喜欢，鞋底还开胶了",
        ),
        ("😀。", [], {"words": "😀。"}, None, None),
        ("[质量问题]", [], "quality", "quality", None),
        ("/inform", [], ["x"], None, None),
    ],
)
async def test_the_reason_is_kept_with_the_words_that_say_more(
    mall: SqlMall, text: str, entities: list[Any], heard: Any, reason: str | None, note: str | None
) -> None:
    talk = a_return().customer("退货")
    await talk.hears()
    assert "原因" in await talk.asks("reason")
    talk.customer(text, *[entity(text, name, words, value) for name, words, value in entities])
    slots = await talk.hears(reason=heard)
    assert (slots["reason"], slots.get("note")) == (reason, note)
    assert (slots["decision"] is None) == (reason is None)


@pytest.mark.parametrize(
    ("spec", "category", "offered", "missing"),
    [
        ("黑色 42码", "跑鞋", ["尺码不合适", "颜色/款式不喜欢"], []),
        ("420 L 岩灰", "冰箱", ["颜色/款式不喜欢", "收到就破损"], ["尺码不合适"]),
        ("12 枚", "水果", ["质量问题", "收到就破损"], ["尺码不合适", "颜色/款式不喜欢"]),
        (
            "录播版",
            "编程课",
            ["质量问题", "不想要了", "和描述不符"],
            ["尺码不合适", "颜色/款式不喜欢", "收到就破损", "发错货"],
        ),
    ],
)
async def test_the_reasons_offered_fit_the_goods(
    mall: SqlMall, engine: AsyncEngine, spec: str, category: str, offered: list[str], missing: list[str]
) -> None:
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        await session.execute(update(models.Product).values(category=category))
        await session.execute(update(models.OrderLine).values(spec=spec))
    talk = a_return().customer("退货")
    await talk.hears()
    await talk.asks("reason")
    assert set(offered) <= set(talk.buttons) and not set(missing) & set(talk.buttons)


async def test_a_reason_told_before_a_tap_began_it_is_not_asked_for(mall: SqlMall) -> None:
    text = "鞋子走路咔咔响，骗人"
    talk = a_return().customer(text, entity(text, "reason", "咔咔响", "quality"), intent="complain")
    talk.customer('/report_problem{"ticket_kind": "return"}', intent="report_problem")
    talk.frame["began"] = 2
    assert (await talk.hears())["reason"] == "quality"


@pytest.mark.parametrize(
    ("said", "words", "intent", "more", "reason"),
    [
        ("这鞋骗人的吧 一点不像写的", "骗人", "complain", {}, "not_as_described"),
        ("骗人的吧", "骗人", "recommend_product", {}, None),  # of goods that are looked for
        ("ORD20001 骗人", "骗人", "complain", {"order_id": "ORD20001"}, None),
        ("口红骗人", "骗人", "complain", {"category": "口红"}, None),  # other goods
    ],
)
async def test_a_reason_told_before_the_request_is_not_asked_for(
    mall: SqlMall, said: str, words: str, intent: str, more: dict[str, str], reason: str | None
) -> None:
    told = [entity(said, name, value) for name, value in more.items()]
    talk = a_return().customer(said, entity(said, "reason", words, "not_as_described"), *told, intent=intent)
    talk.customer("退款", intent="request_refund")
    talk.frame["began"] = 2
    assert (await talk.hears())["reason"] == reason


async def test_what_was_told_for_a_request_that_ended_is_none_of_the_next(mall: SqlMall) -> None:
    text = "鞋子骗人"
    talk = a_return().customer(text, entity(text, "reason", "骗人", "not_as_described"), intent="complain")
    talk.customer("退款", intent="request_refund")
    talk.frame["began"] = 2
    talk.state["ended"] = {"flow": "after_sales", "intent": "request_return", "turn": 1}
    assert (await talk.hears())["reason"] is None


LINES = [
    {"kind": "line", "id": "A", "title": "澄云 儿童电话手表 天空蓝", "category": "手表"},
    {"kind": "line", "id": "B", "title": "岩山 运动健康手表 黑 42 mm", "category": "手表"},
]


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("5678 就退儿童那个 另一个留着", ["A"]),
        ("只退运动的", ["B"]),
        ("黑色的那块换一下", ["B"]),
        ("把天空蓝的退了", ["A"]),
        ("退 42 mm 的", ["B"]),
        ("退手表那个", []),
        ("电话打不通", []),
        ("我要退货", []),
        ("儿童的不退", ["B"]),
        ("都挺好的", []),
    ],
)
def test_a_piece_of_one_title_alone_chooses_it(words: str, meant: list[str]) -> None:
    talk = Talk("after_sales", "request_return").customer(words)
    assert request_words.lines_meant(Turn.of(talk.tracker()), LINES) == meant


async def test_a_part_of_a_parcel_cannot_be_stopped(mall: SqlMall, engine: AsyncEngine) -> None:
    await on_its_way(engine, "ORD10003", NOW + timedelta(days=2))
    talk = a_return(order_id="ORD10003", reason="changed_mind", order_line="ORD10003-1").customer("退货")
    await talk.hears()
    assert "只能整个拦回" in await talk.does("action_ask_confirm_ticket")
    said = await talk.customer("那能拦一半吗", acts=("question", "of_split")).does("action_about_request")
    assert "口红" in said and "拦不了一半" in said


async def test_two_of_one_line_are_told_before_a_yes(mall: SqlMall) -> None:
    talk = a_return(order_id="ORD10002", order_line=PAIRS, reason="dislike").customer("退货")
    await talk.hears()
    assert "2 件都在里面，一起退货" in await talk.does("action_ask_confirm_ticket")


async def test_what_need_not_be_sent_is_offered_where_the_rules_pay_it_back(mall: SqlMall) -> None:
    for reason, offered in (("quality", True), ("dislike", False)):
        talk = a_return(reason=reason, ticket_kind="exchange").customer("换货")
        await talk.hears()
        said = await talk.customer("必须寄回吗", acts=("question", "of_pickup")).does("action_about_request")
        assert ("只退款" in said, "退款" in talk.buttons) == (offered, offered)


@pytest.mark.parametrize(
    ("slots", "opened", "says"),
    [
        ({}, None, "能办"),
        ({"order_id": "ORD10002", "order_line": LIPSTICK}, None, "看拆没拆"),
        ({"order_id": "ORD10002", "order_line": LIPSTICK}, "yes", "退货不了"),
        ({"order_id": "ORD10002", "order_line": LIPSTICK, "reason": "quality"}, "yes", "能办"),
    ],
)
async def test_the_verdict_in_one_sentence(mall: SqlMall, slots: dict[str, Any], opened: str | None, says: str) -> None:
    talk = a_return(**slots).customer("退货")
    await talk.hears()
    told = [{"entity": "opened", "value": opened, "start": 0, "end": 2}] if opened else []
    talk.customer("拆过了 到底能不能退", *told, acts=("question", "of_verdict"), intent="ask_policy")
    assert says in await talk.does("action_say_verdict")


@pytest.mark.parametrize(
    ("text", "acts", "intent", "reason"),
    [
        ("质量问题的邮费谁出", ("question",), "ask_policy", None),
        ("鞋头质量问题能退么", ("question",), "report_problem", "quality"),
        ("质量问题能帮我退了么", ("question",), "request_return", "quality"),
        ("有质量问题", (), "inform", "quality"),
    ],
)
async def test_a_reason_in_a_question_is_none(
    mall: SqlMall, text: str, acts: tuple[str, ...], intent: str, reason: str | None
) -> None:
    said = entity(text, "reason", "质量问题", "quality")
    talk = a_return(order_id=None).customer(text, said, acts=acts, intent=intent)
    talk.customer('/request_return{"order_id": "ORD10001"}', intent="request_return")
    talk.frame["began"] = 2
    talk.slots["order_id"] = "ORD10001"
    assert (await talk.hears())["reason"] == reason


async def test_a_number_that_was_sent_wrongly_is_no_reason(mall: SqlMall) -> None:
    text = "发错了 是ORD10001"
    talk = a_return().customer(text, entity(text, "reason", "发错了", "wrong_item"), acts=("correction",))
    await talk.hears(order_id="ORD10001")
    talk.customer("5678")
    assert (await talk.hears(phone_tail="5678"))["reason"] is None


async def test_what_is_wrong_in_words_that_no_list_has(mall: SqlMall) -> None:
    for text, reason in (("走着走着鞋跟自己就歪到一边去了", "quality"), ("有问题", None)):
        talk = a_return().customer(text, intent="report_problem")
        assert (await talk.hears())["reason"] == reason


async def test_numbers_beside_the_words_do_not_hide_the_reason(mall: SqlMall) -> None:
    talk = a_return().customer("退货")
    await talk.hears()
    await talk.asks("reason")
    text = "买了2双结果老公也买了"
    talk.customer(text, entity(text, "quantity", "2双", 2))
    assert (await talk.hears(quantity=2))["note"] == text
    talk = a_return().customer("退货")
    await talk.hears()
    await talk.asks("reason")
    talk.customer("退2双", entity("退2双", "quantity", "2双", 2))
    assert (await talk.hears(quantity=2))["reason"] is None


@pytest.mark.parametrize(
    ("text", "words", "note"),
    [
        ("鞋底开胶了，我要退货 ORD10001", "开胶", "鞋底开胶了"),
        ("我要退货 订单号ORD10001 尺码不合适", "尺码不合适", None),
        ("我要退货，开胶", "开胶", None),
    ],
)
async def test_of_an_opening_message_the_clause_of_the_reason_is_kept(
    mall: SqlMall, text: str, words: str, note: str | None
) -> None:
    talk = a_return(reason="quality").customer(text, entity(text, "reason", words, "quality"))
    slots = await talk.hears()
    assert slots.get("note") == note
    assert slots["decision"]["freight_payer"] == "shop"


async def test_the_same_reason_kept_when_another_order_is_meant(mall: SqlMall) -> None:
    talk = a_return(reason="quality").customer("开胶了，退货")
    await talk.hears()
    talk.customer("单号错了，是ORD10003")
    slots = await talk.hears(order_id="ORD10003")
    assert (slots["order_id"], slots["reason"], slots["order_line"]) == ("ORD10003", "quality", None)


def size_talk(kind: str, *sizes: str) -> tuple[Talk, list[str]]:
    text = " ".join(f"{size}码" for size in sizes)
    talk = a_return(ticket_kind=kind, reason="wrong_size")
    return talk.customer(text, *[entity(text, "size", f"{size}码", size) for size in sizes]), list(sizes)


@pytest.mark.parametrize(
    ("kind", "sizes", "words"),
    [
        ("exchange", ["43"], "想换 43码"),
        ("exchange", ["42", "43"], "想换 43码"),
        ("exchange", ["43", "42"], "想换 43码"),
        ("exchange", ["larger"], "想换大一码"),
        ("exchange", ["42"], None),
        ("return", ["43"], None),
    ],
)
async def test_the_size_wanted_is_summed_up_and_written(
    mall: SqlMall, engine: AsyncEngine, kind: str, sizes: list[str], words: str | None
) -> None:
    talk, told = size_talk(kind, *sizes)
    await talk.hears(size=told[0])
    said = await talk.does("action_ask_confirm_ticket")
    assert (words or "想换") in said or kind == "return"
    assert ("想换几码" in said) == (kind == "exchange" and words is None)
    await talk.confirms()
    await talk.does("action_create_return_ticket")
    [ticket] = await mall.tickets_of("web:zhou")
    async with AsyncSession(engine) as session:
        note = await session.scalar(select(models.Ticket.note).where(models.Ticket.id == ticket.id))
    assert note == (words or "")


@pytest.mark.parametrize(
    ("words", "spec", "own", "named"),
    [
        ("9 片换成 15片的", "15 片", "9 片", True),
        ("想换个15片", "15 片", "9 片", True),
        ("9片的不够热", "15 片", "9 片", False),
        ("115片", "15 片", "9 片", False),
        ("换成烟灰紫行不行", "烟灰紫", "蜜桃粉", True),
        ("蜜桃粉太艳", "烟灰紫", "蜜桃粉", False),
        ("换 150", "奶白 150", "奶白 140", True),
        ("换奶白", "奶白 150", "奶白 140", False),
        ("灰色 150 的", "灰色 150", "奶白 140", True),
        ("灰色的就行", "灰色 150", "奶白 140", False),
    ],
)
def test_another_kind_of_the_same_goods_is_named_by_what_tells_it(words: str, spec: str, own: str, named: bool) -> None:
    assert request_words.names_spec(words, spec, own) is named


async def test_the_kind_wanted_is_summed_up(mall: SqlMall, engine: AsyncEngine) -> None:
    [line] = (await mall.order("web:zhou", "ORD10001")).lines
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        add_sku(session, "another", line.product_id, "雾灰 43码", 9900, 5)
    talk = a_return(ticket_kind="exchange", reason="dislike").customer("给我换成雾灰43码的")
    await talk.hears()
    assert "想换 雾灰 43码" in await talk.does("action_ask_confirm_ticket")


async def test_a_size_told_at_the_summary_is_a_new_summary(mall: SqlMall) -> None:
    talk = a_return(ticket_kind="exchange", reason="wrong_size").customer("换货")
    await talk.hears()
    first = await talk.does("action_ask_confirm_ticket")
    before = talk.slots["summary"]
    talk.customer("没写43码呀", entity("没写43码呀", "size", "43码", "43"), acts=("objection",))
    await talk.hears(size="43")
    talk.state["attempt"] = 2
    second = await talk.does("action_ask_confirm_ticket")
    assert "想换 43码" in second and "订单：ORD10001" in second  # in full
    assert talk.slots["summary"] != before and first != second


@pytest.mark.parametrize(("numbers", "said"), [([1], True), ([2, 1], True), ([2], False)])
async def test_the_smallest_number_that_is_told_is_meant(mall: SqlMall, numbers: list[int], said: bool) -> None:
    text = " ".join(f"{number}双" for number in numbers)
    spans = [entity(text, "quantity", f"{number}双", number) for number in numbers]
    talk = a_return(order_id="ORD10002", order_line=PAIRS, reason="dislike").customer(text, *spans)
    await talk.hears(quantity=numbers[0])
    assert ("这次只办其中 1 件" in await talk.does("action_ask_confirm_ticket")) is said


# ---- the rules


async def test_opened_is_asked_only_where_the_rules_must_know_it(mall: SqlMall) -> None:
    talk = a_return(order_id="ORD10002", order_line=LIPSTICK, reason="dislike").customer("退货")
    slots = await talk.hears()
    assert (slots["needs_opened"], slots["decision"], slots["refusal"]) == (True, None, None)
    talk.customer("没有", acts=("no",))
    slots = await talk.hears(opened=False)
    assert (slots["opened"], slots["needs_opened"], slots["decision"]["freight_payer"]) == ("no", False, "customer")
    talk.customer("用过一次", entity("用过一次", "opened", "用过", "yes"))
    assert (await talk.hears(opened="yes"))["refusal"]["rule"] == "opened_cosmetics"

    talk = a_return(order_id="ORD10002", order_line=LIPSTICK, reason="quality").customer("坏的")
    assert (await talk.hears())["needs_opened"] is False


@pytest.mark.parametrize(
    ("order", "slots", "rule"),
    [
        ("ORD10001", {}, None),
        ("ORD10004", {}, "fault_too_late"),  # a fault and a whim are refused by two rules: nothing is left to ask
        ("ORD10004", {"reason": "dislike"}, "no_reason_too_late"),
        ("ORD10004", {"reason": "quality", "ticket_kind": None}, "fault_too_late"),
        ("ORD10003", {"ticket_kind": "exchange", "order_line": "all"}, "not_shipped_exchange"),
        ("ORD10001", {"ticket_kind": "refund", "reason": "changed_mind"}, "refund_needs_return"),
    ],
)
async def test_a_refusal_comes_as_soon_as_nothing_could_change_it(
    mall: SqlMall, order: str, slots: dict[str, Any], rule: str | None
) -> None:
    talk = a_return(order_id=order, **slots).customer("…")
    found = await talk.hears()
    assert (found["refusal"] or {}).get("rule") == rule
    assert found["decision"] is None


@pytest.mark.parametrize(
    ("order", "slots", "says", "buttons"),
    [
        (
            "ORD10001",
            {"ticket_kind": "refund", "reason": "changed_mind"},
            "不能退款",
            {
                "退货": '/request_return{"order_id": "ORD10001", "order_line": "ORD10001-1", "reason": "changed_mind"}',
                "换货": '/request_exchange{"order_id": "ORD10001", "order_line": "ORD10001-1", '
                '"reason": "changed_mind"}',
                "商品有质量问题": '/report_problem{"reason": "quality", "order_id": "ORD10001", '
                '"order_line": "ORD10001-1", "ticket_kind": "refund"}',
                "换个订单": '/request_refund{"change": "order_id"}',
                "转人工": "/human_handoff",
            },
        ),
        (
            "ORD10004",
            {"reason": "dislike"},
            "不能退货",
            {"换个订单": '/request_return{"change": "order_id"}', "转人工": "/human_handoff"},
        ),
        (
            "ORD10003",
            {"ticket_kind": "exchange", "order_line": "all"},
            "不能换货",
            {
                "取消订单": '/cancel_order{"order_id": "ORD10003"}',
                "换个订单": '/request_exchange{"change": "order_id"}',
                "转人工": "/human_handoff",
            },
        ),
        (
            "ORD10004",
            {"reason": "damaged", "ticket_kind": None},
            "不能办售后",
            {"换个订单": '/request_return{"change": "order_id"}', "转人工": "/human_handoff"},
        ),
    ],
)
async def test_a_refusal_says_why_and_offers_what_the_rules_allow(
    mall: SqlMall, order: str, slots: dict[str, Any], says: str, buttons: dict[str, str]
) -> None:
    talk = a_return(order_id=order, **slots).customer("…")
    await talk.hears()
    said = []
    for _ in range(3):
        talk.slots["focus"] = None  # long ago
        said.append(await talk.does("action_refuse_after_sales"))
    assert says in said[0] and len(set(said)) == 3
    assert talk.buttons == buttons
    assert not any(text.endswith(("？", "?")) for text in said)
    assert talk.slots["focus"]["order"]["id"] == order


async def test_the_same_refusal_again_names_what_is_disputed_and_who_can_look(mall: SqlMall) -> None:
    talk = a_return(order_id="ORD10004", reason="dislike").customer("退货")
    await talk.hears()
    await talk.does("action_refuse_after_sales")
    said = [await talk.does("action_refuse_after_sales") for _ in range(2)]
    assert all("签收" in text and "同事" in text for text in said) and len(set(said)) == 2
    assert talk.buttons == {"转人工": "/human_handoff"}
    refused = talk.slots["focus"]["refused"]
    assert (refused["order_id"], refused["reason"], refused["rule"]) == ("ORD10004", "dislike", "no_reason_too_late")


async def test_what_is_contested_is_noted_for_a_colleague(mall: SqlMall, engine: AsyncEngine) -> None:
    talk = a_return(order_id="ORD10004", reason="dislike").customer("退货")
    await talk.hears()
    await talk.does("action_refuse_after_sales")
    talk.customer("我上周才拿到的呀", acts=("contests",))
    said = await talk.does("action_contested")
    assert "签收" in said and "同事" in said and talk.buttons == {"转人工": "/human_handoff"}
    async with AsyncSession(engine) as session:
        noted = (await session.scalars(select(models.Complaint))).one()
    assert noted.order_id == "ORD10004"


async def test_what_is_refused_before_any_request_is_remembered_too(mall: SqlMall) -> None:
    talk = a_return().customer("起球了能退吗", intent="ask_policy")
    order, focus = await mall.order("web:zhou", "ORD10004"), Focus(talk.tracker())
    await say_problem(CollectingDispatcher(), talk.tracker(), DOMAIN, "quality", order, focus)
    told = focus.value["refused"]
    assert (told["order_id"], told["reason"], told["rule"]) == ("ORD10004", "quality", "fault_too_late")


async def test_another_order_after_a_refusal_is_really_another(mall: SqlMall) -> None:
    talk = a_return(order_id="ORD10004", reason="dislike").customer("退货")
    await talk.hears()
    await talk.does("action_refuse_after_sales")
    other = Talk("after_sales", "request_return", ticket_kind="return", focus=talk.slots["focus"]).customer(
        "/request_return"
    )
    slots = await other.hears(change="order_id")
    assert (slots["order_id"], slots["proposal"]) == (None, "none")
    again = Talk("after_sales", "request_exchange", ticket_kind="exchange", focus=talk.slots["focus"]).customer(
        "那换货"
    )
    assert (await again.hears())["order_id"] == "ORD10004"


async def test_an_order_whose_goods_all_have_a_ticket(mall: SqlMall) -> None:
    ticket = await written(mall)
    talk = a_return(reason="quality").customer("退货")
    assert (await talk.hears())["refusal"] == {"name": "order_has_ticket", "ticket": ticket.id, "order": "ORD10001"}
    said = [await talk.does("action_refuse_after_sales") for _ in range(2)]
    assert all(ticket.id in text and "云跑缓震跑步鞋 黑色 42码" in text and "等您把商品寄回" in text for text in said)
    assert said[0] != said[1] and "已有售后工单" in said[0]
    assert talk.buttons == {
        "看进度": f'/ticket_status{{"ticket_id": "{ticket.id}"}}',
        "撤销这个申请": f'/cancel_ticket{{"ticket_id": "{ticket.id}"}}',
        "换个订单": '/request_return{"change": "order_id"}',
        "转人工": "/human_handoff",
    }
    assert talk.slots["focus"]["ticket"]["id"] == ticket.id


async def test_another_kind_needs_the_ticket_taken_back_first(mall: SqlMall) -> None:
    ticket = await written(mall)
    talk = a_return(ticket_kind="exchange").customer("还是换货")
    await talk.hears()
    said = [await talk.does("action_refuse_after_sales") for _ in range(2)]
    assert all(ticket.id in text and "退货" in text and "换货" in text and "撤" in text for text in said)
    assert said[0] != said[1]


async def test_a_ticket_that_is_through_cannot_be_withdrawn_from_there(mall: SqlMall) -> None:
    ticket = await written(mall)
    for number, status in enumerate((TicketStatus.GOODS_RECEIVED, TicketStatus.REFUNDED)):
        await advance_ticket(mall, ticket.id, status, "operator", "", f"a{number}")
    talk = a_return(ticket_kind="exchange").customer("还是换货")
    await talk.hears()
    assert "已退款¥399" in await talk.does("action_refuse_after_sales")
    assert list(talk.buttons) == ["看进度", "换个订单", "转人工"]


async def test_a_changed_kind_is_decided_anew(mall: SqlMall) -> None:
    talk = a_return(reason="quality").customer("退货")
    assert (await talk.hears())["decision"]["refund_cents"] == 39900
    talk.customer("不是退货，是换货", acts=("correction",), intent="request_exchange")
    slots = await talk.hears(ticket_kind="exchange")
    assert (slots["decision"]["refund_cents"], slots["order_line"]) == (0, SHOES)
    talk.customer("/inform")
    slots = await talk.hears(change="ticket_kind")
    assert (slots["ticket_kind"], slots["decision"]) == (None, None)


@pytest.mark.parametrize(
    "told", [{"reason": "x"}, {"ticket_kind": "gift"}, {"opened": 3}, {"order_line": "ORD20001-1"}]
)
async def test_what_no_button_says_is_as_if_it_had_not_been_told(mall: SqlMall, told: dict[str, Any]) -> None:
    talk = a_return(**{"reason": "quality", **told}).customer("/request_return")
    slots = await talk.hears()
    [(slot, value)] = told.items()
    assert slots[slot] != value
    assert slots["order_line"] == SHOES


async def test_what_was_taken_back_to_be_asked_for_otherwise_is_not_asked_again(mall: SqlMall) -> None:
    ticket = await written(mall, "ORD10002", reason=Reason.QUALITY, line_ids=(PAIRS,))
    await mall.cancel_ticket("web:zhou", ticket.id, "c")
    focus = {
        "order": {"id": "ORD10002", "turn": 0},
        "written": {"flow": "cancel_ticket", "id": ticket.id, "order": "ORD10002", "turn": 0},
    }
    talk = a_return(order_id=None, ticket_kind="exchange", focus=focus).customer("那换货吧")
    slots = await talk.hears()
    assert (slots["order_id"], slots["order_line"], slots["reason"]) == ("ORD10002", PAIRS, "quality")
    talk = a_return(order_id=None, ticket_kind="exchange", focus=focus)
    talk.customer("那换口红吧", entity("那换口红吧", "category", "口红"))
    assert (await talk.hears())["order_line"] == LIPSTICK


# ---- the summary and the write


async def ready(mall: SqlMall, **slots: Any) -> Talk:
    talk = a_return(reason="dislike", **slots).customer("不喜欢，退货")
    await talk.hears()
    return talk


async def test_the_summary_is_full_once_then_short_each_time_otherwise(mall: SqlMall) -> None:
    talk = await ready(mall)
    said = [await talk.does("action_ask_confirm_ticket")]
    assert all(
        part in said[0] for part in ("退货", "ORD10001", "颜色/款式不喜欢", "运费由您承担", "3 个工作日", "退款 ¥399")
    )
    assert talk.buttons == {
        "确认提交": f'/affirm{{"summary": "{talk.slots["summary"]}"}}',
        "改一下": "/deny",
        "不办了": "/stop",
    }
    for attempt, problem in ((2, None), (3, None), (2, "unclear"), (3, "unclear"), (3, "unclear")):
        talk.state["attempt"] = attempt
        talk.slots["problem"] = problem and {"slot": "confirmed", "name": problem}
        said.append(await talk.does("action_ask_confirm_ticket"))
        assert "订单：" not in said[-1]
    assert all("确认提交吗" in text for text in said)
    assert said[3].startswith("还没有提交，您放心。")
    assert len(set(said)) == len(said)


async def test_the_summary_in_english(mall: SqlMall) -> None:
    talk = await ready(mall, language="en")
    assert "Shall I submit it?" in await talk.does("action_ask_confirm_ticket")


async def test_a_ticket_is_written_after_a_yes_to_this_very_summary(mall: SqlMall) -> None:
    talk = await ready(mall)
    await talk.does("action_ask_confirm_ticket")
    assert await talk.does("action_create_return_ticket") == ""  # nobody has said yes
    talk.slots["confirmed"] = digest({"something": "else"})
    assert await talk.does("action_create_return_ticket") == ""
    assert await mall.tickets_of("web:zhou") == []

    await talk.confirms()
    said = await talk.does("action_create_return_ticket")
    [ticket] = await mall.tickets_of("web:zhou")
    assert said.startswith("工单已创建,预计3个工作日内处理")
    assert ticket.id in said and "售后详情" in said
    focus = talk.slots["focus"]
    assert (focus["written"]["flow"], focus["written"]["id"], focus["ticket"]["id"]) == (
        "after_sales",
        ticket.id,
        ticket.id,
    )


async def test_a_yes_whose_turn_was_cut_off_makes_no_second_ticket(mall: SqlMall) -> None:
    talk = await ready(mall)
    await talk.does("action_ask_confirm_ticket")
    await talk.confirms()
    before = dict(talk.slots)
    first = await talk.does("action_create_return_ticket")
    talk.slots = dict(before)  # nothing of the turn was kept
    talk.said.clear()
    assert await talk.does("action_create_return_ticket") == first
    assert len(await mall.tickets_of("web:zhou")) == 1

    # said yes again in English: the same ticket
    talk.slots = {**before, "language": "en"}
    assert "has been created" in await talk.does("action_create_return_ticket")
    assert len(await mall.tickets_of("web:zhou")) == 1


async def test_corrected_after_a_cut_off_turn_says_which_ticket_exists(mall: SqlMall) -> None:
    talk = await ready(mall)
    await talk.does("action_ask_confirm_ticket")
    await talk.confirms()
    before = dict(talk.slots)
    await talk.does("action_create_return_ticket")
    [ticket] = await mall.tickets_of("web:zhou")
    talk.slots = {**before, "confirmed": None}
    talk.customer("不对，是质量问题", entity("不对，是质量问题", "reason", "质量问题", "quality"))
    assert (await talk.hears(reason="quality"))["refusal"]["ticket"] == ticket.id
    assert ticket.id in await talk.does("action_refuse_after_sales")

    # the validation had run before the first turn was written
    talk.slots = {**before, "reason": "quality"}
    await talk.does("action_ask_confirm_ticket")
    await talk.confirms()
    said = await talk.does("action_create_return_ticket")
    assert ticket.id in said and talk.responses[-1] == "utter_order_has_ticket"
    assert [one.id for one in await mall.tickets_of("web:zhou")] == [ticket.id]


async def test_rules_that_moved_on_are_said(mall: SqlMall, engine: AsyncEngine) -> None:
    talk = await ready(mall)
    await talk.does("action_ask_confirm_ticket")
    await talk.confirms()
    await change(engine, "ORD10001", delivered_at=NOW - timedelta(days=40))
    assert "不能退货" in await talk.does("action_create_return_ticket")
    assert "转人工" in talk.buttons
    assert await mall.tickets_of("web:zhou") == []


async def test_a_write_that_fails_is_said_plainly(mall: SqlMall) -> None:
    talk = await ready(mall)
    await talk.does("action_ask_confirm_ticket")
    await talk.confirms()
    talk.sender = "web:guest"  # the account was unbound meanwhile
    assert "没有提交成功" in await talk.does("action_create_return_ticket")
    assert "转人工" in talk.buttons


# ---- where tickets stand


def progress(sender: str = "web:zhou", **slots: Any) -> Talk:
    return Talk("ticket_status", "ticket_status", sender, **slots).customer("退货进度", intent="ticket_status")


async def test_one_ticket_in_detail_says_what_to_do_next(mall: SqlMall) -> None:
    ticket = await written(mall)
    talk = progress()
    said = await talk.does("action_ticket_status")
    assert all(part in said for part in (ticket.id, "退货", "审核通过", "寄回"))
    assert talk.slots["focus"]["ticket"]["id"] == ticket.id
    assert await talk.does("action_ticket_status") != said


async def test_several_tickets_are_one_line_each_the_newest_first(mall: SqlMall) -> None:
    first = await written(mall)
    mall.database.clock.advance(hours=1)  # type: ignore[attr-defined]
    second = await written(mall, "ORD10002", reason=Reason.QUALITY, line_ids=(PAIRS,))
    mall.database.clock.advance(hours=1)  # type: ignore[attr-defined]
    third = await written(mall, "ORD10002", line_ids=(LIPSTICK,))
    talk = progress()
    lines = (await talk.does("action_ticket_status")).splitlines()
    assert len(lines) == 4
    assert [one.id in line for one, line in zip((third, second, first), lines[1:], strict=True)] == [True] * 3

    talk.customer("第二个呢", entity("第二个呢", "ordinal", "第二个", 2))
    assert second.id in await talk.does("action_ticket_status")
    talk.customer("口红的退货到哪了", entity("口红的退货到哪了", "category", "口红"))
    said = await talk.does("action_ticket_status")
    assert third.id in said and first.id not in said
    talk.customer("ORD10001 的退货呢", entity("ORD10001 的退货呢", "order_id", "ORD10001"))
    assert first.id in await talk.does("action_ticket_status")
    talk.customer(f"{second.id} 到哪了", entity(f"{second.id} 到哪了", "ticket_id", second.id))
    assert second.id in await talk.does("action_ticket_status")
    talk.customer("RT1", entity("RT1", "ticket_id", "RT1"))
    assert "没有查到工单 RT1" in await talk.does("action_ticket_status")


async def test_progress_right_after_the_ticket_is_about_it(mall: SqlMall) -> None:
    await written(mall, "ORD10002", reason=Reason.QUALITY, line_ids=(PAIRS,))
    ticket = await written(mall)
    focus = {"ticket": {"id": ticket.id, "turn": 1}, "written": {"flow": "after_sales", "id": ticket.id, "turn": 1}}
    talk = progress(focus=focus)
    assert ticket.id in await talk.does("action_ticket_status")
    assert len(talk.said) == 1 and "\n" not in talk.said[0]


@pytest.mark.parametrize(
    ("sender", "slots", "missing", "says"),
    [
        ("web:zhou", {}, None, "没有售后申请"),
        ("web:guest", {}, "order_id", ""),
        ("web:guest", {"order_id": "ORD10001"}, "phone_tail", ""),
        ("web:guest", {"order_id": "ORD9"}, "phone_tail", ""),
        ("web:guest", {"order_id": "ORD10001", "phone_tail": "1111"}, "phone_tail", ""),
        ("web:guest", {"order_id": "ORD10001", "phone_tail": "5678"}, None, "ORD10001 还没有售后工单"),
    ],
)
async def test_without_a_ticket(
    mall: SqlMall, sender: str, slots: dict[str, Any], missing: str | None, says: str
) -> None:
    talk = progress(sender, **slots)
    said = await talk.does("action_ticket_status")
    assert (talk.slots.get("missing"), says in said, bool(said)) == (missing, True, bool(says))
    if says:
        offers = [variant.get("metadata") for variant in DOMAIN["responses"][talk.responses[-1]]]
        assert offers == [{"offers": "request_return"}] * len(offers)


# ---- taking a ticket back


def withdrawal(sender: str = "web:zhou", text: str = "撤销售后", **slots: Any) -> Talk:
    return Talk("cancel_ticket", "cancel_ticket", sender, **slots).customer(text, intent="cancel_ticket")


async def test_the_only_ticket_is_taken_and_withdrawn_after_a_yes(mall: SqlMall) -> None:
    ticket = await written(mall)
    talk = withdrawal()
    assert (await talk.hears())["ticket_id"] == ticket.id
    said = [await talk.does("action_ask_confirm_cancel_ticket")]
    assert "要撤销工单" in said[0] and ticket.id in said[0]
    assert list(talk.buttons) == ["确认撤销", "先不撤"]
    assert await talk.does("action_cancel_ticket") == ""
    for attempt in (2, 3):
        talk.state["attempt"] = attempt
        said.append(await talk.does("action_ask_confirm_cancel_ticket"))
        assert "要撤销工单" in said[-1]
    assert len(set(said)) == 3
    await talk.confirms()
    assert "已撤销" in await talk.does("action_cancel_ticket")
    assert (await mall.ticket("web:zhou", ticket.id)).status is TicketStatus.CANCELLED
    assert "已撤销" in await talk.does("action_cancel_ticket")  # its turn was cut off
    assert talk.slots["focus"]["written"]["flow"] == "cancel_ticket"

    talk = withdrawal(focus=talk.slots["focus"])
    assert (await talk.hears())["refusal"] == {"name": "no_ticket_to_cancel", "ticket": ticket.id}
    assert "已撤销" in await talk.does("action_refuse_cancel_ticket")


async def three(mall: SqlMall) -> list[Ticket]:
    found = []
    for request in ({}, {"line_ids": (PAIRS,)}, {"line_ids": (LIPSTICK,), "kind": TicketKind.EXCHANGE}):
        found.append(await written(mall, "ORD10002" if request else "ORD10001", reason=Reason.QUALITY, **request))
        mall.database.clock.advance(hours=1)  # type: ignore[attr-defined]
    return found


async def test_of_several_tickets_one_is_chosen(mall: SqlMall) -> None:
    shoes, pairs, lipstick = await three(mall)
    talk = withdrawal()
    assert [one["id"] for one in (await talk.hears())["tickets"]] == [lipstick.id, pairs.id, shoes.id]
    said = await talk.asks("ticket_id")
    assert "1. 换货：花间丝绒口红 豆沙色（3月11日申请）" in said
    for text, heard, spans, chosen in (
        ("第二个", {"by": "ordinal", "value": 2}, [entity("第二个", "ordinal", "第二个", 2)], pairs.id),
        ("换货那张", {"words": "换货那张"}, [], lipstick.id),
        ("面霜那张", {"words": "面霜那张"}, [], None),
        (shoes.id, shoes.id, [entity(shoes.id, "ticket_id", shoes.id)], shoes.id),
        ("RT1", "RT1", [entity("RT1", "ticket_id", "RT1")], None),
    ):
        talk.slots["ticket_id"] = None
        talk.customer(text, *spans)
        assert (await talk.hears(ticket_id=heard))["ticket_id"] == chosen
        if chosen is None:
            said = await talk.asks("ticket_id", 2)
            assert talk.slots["problem"]["name"] in talk.responses[-1]
        if text == "RT1":
            assert "RT1" in said and "还" not in said[:2]


async def test_goods_or_what_was_just_written_say_which_ticket(mall: SqlMall) -> None:
    shoes, pairs, lipstick = await three(mall)
    talk = withdrawal(text="口红的不换了")
    talk.message["entities"] = [entity("口红的不换了", "category", "口红")]
    assert (await talk.hears())["ticket_id"] == lipstick.id
    written_now = {"flow": "after_sales", "id": shoes.id, "turn": 1}
    focus = {"ticket": {"id": shoes.id, "turn": 1}, "written": written_now}
    assert (await withdrawal(text="先别退了", focus=focus).hears())["ticket_id"] == shoes.id
    assert (await withdrawal(focus=focus, ticket_id=pairs.id).hears())["ticket_id"] == pairs.id
    assert (await withdrawal(focus=focus, order_id="ORD10002").hears())["ticket_id"] is None
    await mall.cancel_ticket("web:zhou", shoes.id, "c")
    assert len((await withdrawal(focus=focus).hears())["tickets"]) == 2  # that one is settled


async def test_a_ticket_too_far_along_and_none_at_all(mall: SqlMall) -> None:
    talk = withdrawal()
    assert (await talk.hears())["refusal"] == {"name": "no_ticket_to_cancel"}
    said = [await talk.does("action_refuse_cancel_ticket") for _ in range(3)]
    assert len(set(said)) == 3 and "转人工" in talk.buttons
    ticket = await written(mall)
    await advance_ticket(mall, ticket.id, TicketStatus.GOODS_RECEIVED, "operator", "", "a")
    talk = withdrawal(ticket_id=ticket.id)
    await talk.hears()
    assert "商品已收到" in await talk.does("action_refuse_cancel_ticket")
    assert list(talk.buttons) == ["看进度", "转人工"]


async def test_a_ticket_that_goes_on_between_summary_and_yes(mall: SqlMall) -> None:
    ticket = await written(mall)
    talk = withdrawal()
    await talk.hears()
    await talk.does("action_ask_confirm_cancel_ticket")
    await advance_ticket(mall, ticket.id, TicketStatus.GOODS_RECEIVED, "operator", "", "a")
    await talk.confirms()
    assert "撤不了" in await talk.does("action_cancel_ticket")


async def test_a_stranger_shows_the_order_first(mall: SqlMall) -> None:
    ticket = await written(mall)
    talk = withdrawal("web:guest", ticket_id=ticket.id)
    slots = await talk.hears()
    assert (slots["tickets"], slots["refusal"], slots["order_id"]) == (None, None, None) or "tickets" not in slots
    talk.customer("ORD10001")
    await talk.hears(order_id="ORD10001")
    talk.customer("5678")
    assert (await talk.hears(phone_tail="5678"))["ticket_id"] == ticket.id


# ---- cancelling an order


def cancelling(order_id: str = "ORD10003", sender: str = "web:zhou", **slots: Any) -> Talk:
    talk = Talk("cancel_order", "cancel_order", sender, order_id=order_id, **slots)
    return talk.customer("取消订单", intent="cancel_order")


async def test_an_order_is_cancelled_after_a_yes_and_the_money_is_told(mall: SqlMall) -> None:
    talk = cancelling()
    assert (await talk.hears())["refusal"] is None
    said = [await talk.does("action_ask_confirm_cancel_order")]
    assert "要取消订单 ORD10003" in said[0] and "¥598" in said[0]
    assert await talk.does("action_cancel_order") == ""
    for attempt in (2, 3):
        talk.state["attempt"] = attempt
        said.append(await talk.does("action_ask_confirm_cancel_order"))
        assert "要取消订单" in said[-1]
    assert len(set(said)) == 3
    await talk.confirms()
    done = await talk.does("action_cancel_order")
    assert "已取消" in done and "¥598" in done and "1 个工作日内原路退出" in done
    assert (await mall.order("web:zhou", "ORD10003")).status is OrderStatus.CANCELLED
    assert "已取消" in await talk.does("action_cancel_order")  # its turn was cut off
    assert talk.slots["focus"]["written"]["flow"] == "cancel_order"

    talk = cancelling(focus=talk.slots["focus"])
    assert (await talk.hears())["refusal"]["name"] == "cancelled_already"
    assert "已取消" in await talk.does("action_refuse_cancel_order")


@pytest.mark.parametrize(
    ("status", "refusal", "says", "buttons"),
    [
        (OrderStatus.SHIPPED, "too_late", "不能直接取消", ["退款", "能拒收吗", "看物流"]),
        (OrderStatus.DELIVERED, "too_late", "不能直接取消", ["我想退货", "换货", "转人工"]),
        (OrderStatus.CANCELLED, "cancelled_already", "已取消", ["转人工"]),
    ],
)
async def test_why_an_order_cannot_be_cancelled(
    mall: SqlMall, engine: AsyncEngine, status: OrderStatus, refusal: str, says: str, buttons: list[str]
) -> None:
    if status is OrderStatus.SHIPPED:
        await ship_order(mall, "ORD10003", "疾鹿速运", "JL1", "k1")
    else:
        await change(engine, "ORD10003", status=status)
    talk = cancelling()
    assert (await talk.hears())["refusal"]["name"] == refusal
    said = [await talk.does("action_refuse_cancel_order") for _ in range(3)]
    assert says in said[0] and len(set(said)) == 3
    assert list(talk.buttons) == buttons


async def test_an_order_that_a_ticket_settles(mall: SqlMall) -> None:
    ticket = await written(mall, "ORD10003", kind=TicketKind.REFUND, line_ids=("ORD10003-1",))
    talk = cancelling()
    assert (await talk.hears())["refusal"]["name"] == "order_has_ticket"
    assert ticket.id in await talk.does("action_refuse_cancel_order")
    assert list(talk.buttons) == ["看进度", "撤销这个申请", "转人工"]


async def test_an_unpaid_order_has_no_money_to_wait_for(mall: SqlMall, engine: AsyncEngine) -> None:
    await change(engine, "ORD10003", status=OrderStatus.PENDING_PAYMENT)
    talk = cancelling()
    await talk.hears()
    assert "还没付款" in await talk.does("action_ask_confirm_cancel_order")
    await talk.confirms()
    assert "没有要退的" in await talk.does("action_cancel_order")


async def test_shipped_between_summary_and_yes(mall: SqlMall) -> None:
    talk = cancelling()
    await talk.hears()
    await talk.does("action_ask_confirm_cancel_order")
    await ship_order(mall, "ORD10003", "顺丰速运", "SF1", "s")
    await talk.confirms()
    assert "不能直接取消" in await talk.does("action_cancel_order")
    assert (await mall.order("web:zhou", "ORD10003")).status is OrderStatus.SHIPPED


# ---- words


async def test_all_of_it_in_english(mall: SqlMall, engine: AsyncEngine) -> None:
    """Texts that lack a value, or a language, are found by rendering them."""
    first, *others = await three(mall)
    await advance_ticket(mall, others[0].id, TicketStatus.GOODS_RECEIVED, "operator", "", "a")
    english = {"language": "en"}
    returning = a_return(order_id="ORD10004", reason="dislike", **english).customer("return")
    await returning.hears()
    assert "can't go ahead" in await returning.does("action_refuse_after_sales")
    again = a_return(**english).customer("return")
    await again.hears()
    assert first.id in await again.does("action_refuse_after_sales")
    assert "latest requests" in await progress(**english).does("action_ticket_status")
    taking_back = withdrawal(**english)
    await taking_back.hears()
    assert "withdraw" in await taking_back.asks("ticket_id")
    late = withdrawal(ticket_id=others[0].id, **english)
    await late.hears()
    assert "can't be withdrawn" in await late.does("action_refuse_cancel_ticket")
    order = cancelling(**english)
    await order.hears()
    assert "Cancel order" in await order.does("action_ask_confirm_cancel_order")
    await order.confirms()
    assert "is cancelled" in await order.does("action_cancel_order")


@pytest.mark.parametrize(
    "name", ["action_ask_confirm_ticket", "action_create_return_ticket", "action_ask_confirm_cancel_ticket",
             "action_cancel_ticket", "action_ask_confirm_cancel_order", "action_cancel_order"]
)  # fmt: skip
async def test_an_action_that_a_story_chose_too_early_says_and_does_nothing(mall: SqlMall, name: str) -> None:
    talk = Talk("after_sales", "request_return").customer("退货")
    assert await talk.does(name) == ""
    assert await mall.tickets_of("web:zhou") == []


def test_every_question_has_three_ways_and_a_way_out() -> None:
    for slot in ("order_line", "ticket_kind", "reason", "opened", "ticket_id"):
        names = [f"utter_ask_{slot}{end}" for end in ("", "_again", "_third")]
        for language in ("zh", "en"):
            texts = [
                variant["text"]
                for name in names
                for variant in DOMAIN["responses"][name]
                if bool(variant.get("condition")) == (language == "en")
            ]
            assert len(set(texts)) == len(texts) >= 6
        assert f"utter_leave_question_{slot}" in DOMAIN["responses"]


# ---- questions about a request


@pytest.mark.parametrize(
    ("text", "act", "said"),
    [
        ("凭什么我出运费", "of_freight", ["颜色/款式不喜欢", "由您承担"]),
        ("运费大概几块", "of_freight", ["没有准数"]),
        ("退我多少", "of_amount", ["¥399"]),
        ("钱几天到", "of_day", ["3 个工作日", "¥399", "原路"]),
        ("师傅上门收吗", "of_pickup", ["自己叫快递"]),
        ("寄到哪", "of_place", ["我的订单", "审核通过后显示"]),
        ("退的是哪件", "of_goods", ["云跑缓震跑步鞋"]),
        ("碎的怎么寄", "of_packing", ["纸箱", "易碎"]),
        ("要我先垫吗", "of_advance", ["由您出"]),
        ("拒收和收了再退哪个划算", "of_cheaper", ["都一样", "由您承担"]),
        ("能只拦一件吗", "of_split", ["云跑缓震跑步鞋"]),
        ("42码有货吗", "of_stock", ["有货", "42码"]),
    ],
)
async def test_a_question_about_a_summary_is_answered_with_its_facts(
    mall: SqlMall, text: str, act: str, said: list[str]
) -> None:
    talk = a_return(reason="dislike").customer("退货")
    await talk.hears()
    summed_up = await talk.does("action_ask_confirm_ticket")
    assert "确认提交吗" in summed_up
    answer = await talk.customer(text, acts=("question", act)).does("action_about_request")
    assert all(words in answer for words in said), answer
    assert "确认提交" not in answer, "the summary comes by itself"


async def test_once_it_is_written_the_facts_are_those_of_the_ticket(mall: SqlMall) -> None:
    talk = a_return(reason="dislike").customer("退货")
    await talk.hears()
    await talk.does("action_ask_confirm_ticket")
    await talk.confirms()
    await talk.does("action_create_return_ticket")
    talk.frame = {"flow": "pattern_about_request", "intent": "inform", "key": "m9", "began": 9, "status": "open"}
    talk.slots.update(decision=None, order_line=None, order_lines=None)
    for text, act, words in (
        ("钱什么时候到", "of_day", "店里收到寄回的"),
        ("退货地址发我", "of_place", "现在就能看到"),
        ("退我多少", "of_amount", "¥399"),
        ("运费谁出", "of_freight", "撤销这张"),
    ):
        assert words in await talk.customer(text, acts=("question", act)).does("action_about_request"), text


def asks_about(ticket: Ticket, text: str, act: str, **slots: Any) -> Talk:
    """After the request, with its ticket at hand."""
    focus = {"ticket": {"id": ticket.id, "turn": 0}, "written": {"flow": "after_sales", "id": ticket.id, "turn": 0}}
    talk = Talk("pattern_about_request", "inform", focus=focus, **slots)
    return talk.customer(text, acts=("question", act))


async def on_its_way(engine: AsyncEngine, order_id: str, promised: datetime) -> None:
    parcel = {"carrier": "飞梭快递", "tracking_number": "FS1", "status": "in_transit"}
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        session.add(models.Shipment(id="S1", order_id=order_id, promised_by=promised, shipped_at=NOW, **parcel))
    await change(engine, order_id, status=OrderStatus.SHIPPED)


@pytest.mark.parametrize("kind", [TicketKind.REFUND, TicketKind.RETURN])
async def test_a_parcel_that_is_stopped_costs_and_comes_back_by_itself(
    mall: SqlMall, engine: AsyncEngine, kind: TicketKind
) -> None:
    await on_its_way(engine, "ORD10003", NOW + timedelta(days=2))
    ticket = await written(mall, "ORD10003", kind=kind, reason=Reason.CHANGED_MIND)
    freight = await asks_about(ticket, "拦截费哪边出", "of_freight").does("action_about_request")
    assert "由您承担" in freight and "申请时还没超时" in freight and "还没过" not in freight
    assert "拦回来" in await asks_about(ticket, "要我寄吗", "of_pickup").does("action_about_request")
    for text, act in (("几天到账", "of_day"), ("寄到哪里", "of_place")):
        said = await asks_about(ticket, text, act).does("action_about_request")
        assert "把商品寄回" not in said and "寄回的" not in said, said
    assert "等您把商品寄回" not in await progress().customer("退到哪了").does("action_ticket_status")


async def test_a_promised_day_that_is_ahead_is_told(mall: SqlMall, engine: AsyncEngine) -> None:
    await on_its_way(engine, "ORD10003", datetime.now(UTC) + timedelta(days=2))
    ticket = await written(mall, "ORD10003", kind=TicketKind.REFUND, reason=Reason.CHANGED_MIND)
    assert "还没过" in await asks_about(ticket, "拦截费哪边出", "of_freight").does("action_about_request")


async def test_a_return_on_its_way_is_told_so_when_it_is_written(mall: SqlMall, engine: AsyncEngine) -> None:
    await on_its_way(engine, "ORD10003", NOW + timedelta(days=2))
    talk = a_return(order_id="ORD10003", reason="changed_mind", order_line="all").customer("退货")
    await talk.hears()
    await talk.does("action_ask_confirm_ticket")
    await talk.confirms()
    created = await talk.does("action_create_return_ticket")
    assert "拦回来" in created and "寄出后" not in created


@pytest.mark.parametrize("status", [TicketStatus.REJECTED, TicketStatus.CANCELLED, TicketStatus.CLOSED])
async def test_of_a_ticket_that_is_over_only_that_is_told(
    mall: SqlMall, engine: AsyncEngine, status: TicketStatus
) -> None:
    ticket = await written(mall)
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        await session.execute(update(models.Ticket).values(status=status))
    for text, act in (("运费谁掏", "of_freight"), ("能退多少", "of_amount"), ("有人来拿吗", "of_pickup")):
        talk = asks_about(ticket, text, act)
        await talk.does("action_about_request")
        assert [name.startswith("utter_ticket_") for name in talk.responses] == [True]


async def test_the_ticket_at_hand_is_not_what_another_task_is_about(mall: SqlMall) -> None:
    ticket = await written(mall)
    talk = asks_about(ticket, "钱几时退", "of_day", order_id="ORD10003")
    tracker = talk.tracker()
    assert await request_questions.asked_for(tracker, DOMAIN) is not None
    talk.state["stack"] = [{"flow": "cancel_order", "key": "m1", "began": 1, "status": "open"}, talk.frame]
    assert await request_questions.asked_for(talk.tracker(), DOMAIN) is None


async def test_an_exchange_for_another_size_is_told_with_the_size(mall: SqlMall) -> None:
    talk, _ = size_talk("exchange", "43")
    await talk.hears(size="43")
    await talk.does("action_ask_confirm_ticket")
    said = await talk.customer("是同款吧", acts=("question", "of_goods")).does("action_about_request")
    assert "想换 43码" in said and "不变" not in said
    await talk.confirms()
    await talk.does("action_create_return_ticket")
    talk.frame = {"flow": "pattern_about_request", "intent": "inform", "key": "m9", "began": 9, "status": "open"}
    talk.slots.update(dict.fromkeys(("decision", "order_line", "order_lines", "size", "note")))
    said = await talk.customer("是同款吧", acts=("question", "of_goods")).does("action_about_request")
    assert "想换 43码" in said and "申请里写着" in said and "转人工" in talk.buttons


async def test_an_exchange_of_the_same_promises_no_reviewer(mall: SqlMall) -> None:
    ticket = await written(mall, kind=TicketKind.EXCHANGE, reason=Reason.QUALITY)
    talk = asks_about(ticket, "换别的颜色行吗", "of_goods")
    said = await talk.does("action_about_request")
    assert "审核的同事" not in said and "转人工" in talk.buttons
    assert "货款" not in await asks_about(ticket, "快递费谁出", "of_freight").does("action_about_request")


async def test_what_is_sent_again_is_not_waited_for(mall: SqlMall) -> None:
    talk = a_return(ticket_kind="exchange", reason="missing_item").customer("少了一只，补发")
    await talk.hears()
    assert talk.slots["decision"]["freight_payer"] == "nobody"
    said = await talk.customer("几天能好", acts=("question", "of_day")).does("action_about_request")
    assert "补发" in said and "收到您寄回" not in said


async def test_who_pays_for_a_parcel_on_its_way_depends_on_the_promised_day(mall: SqlMall, engine: AsyncEngine) -> None:
    late, in_time = NOW - timedelta(days=1), NOW + timedelta(days=2)
    for promised, words in ((in_time, "由您承担"), (late, "由店里出")):
        async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
            await session.execute(delete(models.Shipment).where(models.Shipment.order_id == "ORD10003"))
            await session.execute(
                update(models.Order).where(models.Order.id == "ORD10003").values(status=OrderStatus.SHIPPED)
            )
            session.add(
                models.Shipment(
                    id=f"S{words}",
                    order_id="ORD10003",
                    carrier="飞梭快递",
                    tracking_number="FS1",
                    status="in_transit",
                    promised_by=promised,
                    shipped_at=NOW - timedelta(days=2),
                )
            )
        talk = a_return(order_id="ORD10003", ticket_kind="refund", reason="changed_mind", order_line="all")
        await talk.customer("退款").hears()
        await talk.does("action_ask_confirm_ticket")
        answer = await talk.customer("凭什么我出运费", acts=("objection", "of_freight")).does("action_about_request")
        assert words in answer, answer


async def test_large_goods_are_collected(mall: SqlMall, engine: AsyncEngine) -> None:
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        await session.execute(update(models.Product).values(category="冰箱"))
    talk = a_return(reason="quality").customer("退货")
    await talk.hears()
    await talk.does("action_ask_confirm_ticket")
    asked = talk.customer("送返去定你哋上门收", acts=("of_pickup",))
    assert "上门拉走" in (first := await asked.does("action_about_request")) and "不用您搬" in first
    await talk.confirms()
    assert "上门拉走" in (created := await talk.does("action_create_return_ticket")) and "寄出后" not in created
    assert "上门拉走" in await progress().customer("退货到哪一步了").does("action_ticket_status")


# ---- some of the goods, and the reason that counts


def turn_of(text: str, *entities: dict[str, Any]) -> Turn:
    return Turn.of(a_return().customer(text, *entities).tracker())


WATCHES = [
    {"kind": "line", "id": "a", "title": "云步 儿童电话手表 K4 天空蓝", "category": "智能手表", "pieces": "1"},
    {"kind": "line", "id": "b", "title": "岩石 Watch 户外手表 硅胶带", "category": "智能手表", "pieces": "1"},
]


@pytest.mark.parametrize(
    ("text", "began", "some"),
    [
        ("只取消其中一件", False, True),
        ("不是全取消", False, True),
        ("剔走一件得唔得", False, True),
        ("去掉电话手表那个", False, True),
        ("电话手表要的", False, True),
        ("电话手表照发", False, True),
        ("户外手表取消", True, False),  # without an entity nothing is named
        ("整单取消", True, False),
        ("取消订单", True, False),
        ("就取消这单吧", True, False),
        ("屏幕油渍怎么去掉", False, False),
        ("都取消", False, False),
    ],
)
def test_only_some_goods_of_an_order_are_meant(text: str, began: bool, some: bool) -> None:
    assert request_words.some_to_go(turn_of(text), WATCHES, began) is some


@pytest.mark.parametrize(
    ("text", "began", "some"),
    [("口红取消", True, True), ("口红那单取消", True, False), ("口红为什么这么贵", False, False)],
)
def test_goods_that_are_named_are_some_where_the_wish_began(text: str, began: bool, some: bool) -> None:
    lines = [{**WATCHES[0], "title": "花间口红 豆沙", "category": "口红"}, WATCHES[1]]
    assert request_words.some_to_go(turn_of(text, entity(text, "category", "口红")), lines, began) is some


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("换手表，电话手表没事别动", ["b"]),
        ("就换手表，电话手表不用换", ["b"]),
        ("只退户外手表，电话手表留着", ["b"]),
        ("手表都换", ["a", "b"]),
    ],
)
def test_of_two_goods_that_share_a_word_the_spared_one_stays(text: str, meant: list[str]) -> None:
    told = [entity(text, "product", "手表")]
    acts = ("all",) if "都" in text else ()
    turn = Turn.of(a_return().customer(text, *told, acts=acts).tracker())
    assert request_words.lines_meant(turn, WATCHES) == meant


@pytest.mark.parametrize(
    ("text", "told", "picked"),
    [
        ("原因选不想要了 插上就跳闸", [("不想要了", "changed_mind"), ("跳闸", "quality")], "changed_mind"),
        ("改返做尺码不合适啦，你哋话发错货", [("尺码不合适", "wrong_size"), ("发错货", "wrong_item")], "wrong_size"),
        ("不想要了，家里插座老跳闸", [("不想要了", "changed_mind"), ("跳闸", "quality")], "changed_mind"),
        ("不想要了，而且开线了", [("不想要了", "changed_mind"), ("开线", "quality")], None),
        ("开线了，不想要了", [("开线", "quality"), ("不想要了", "changed_mind")], None),
        ("掉色", [("掉色", "quality")], None),
    ],
)
def test_a_reason_that_is_picked(text: str, told: list[tuple[str, str]], picked: str | None) -> None:
    talk = a_return()
    title, payload = "不想要了", '/inform{"reason": "changed_mind"}'
    talk.events.append({"event": "bot", "text": "…", "data": {"buttons": [{"title": title, "payload": payload}]}})
    tracker = talk.customer(text, *[entity(text, "reason", words, value) for words, value in told]).tracker()
    assert request_words.reason_picked(tracker, Turn.of(tracker)) == picked


async def test_a_picked_reason_stays_until_it_is_corrected(mall: SqlMall) -> None:
    talk = a_return().customer("退货")
    await talk.hears()
    first = "原因是不想要了"
    await talk.customer(first, entity(first, "reason", "不想要了", "changed_mind")).hears(reason="changed_mind")
    remark = entity("穿了一次就掉色", "reason", "掉色", "quality")
    assert (await talk.customer("穿了一次就掉色", remark).hears(reason="quality"))["reason"] == "changed_mind"
    fault = entity("说错了，掉色", "reason", "掉色", "quality")
    talk.customer("说错了，掉色", fault, acts=("correction",))
    assert (await talk.hears(reason="quality"))["reason"] == "quality"


async def test_a_denied_fault_gives_way_to_what_was_told_before(mall: SqlMall) -> None:
    talk = a_return(reason="quality").customer("不想要了", entity("不想要了", "reason", "不想要了", "changed_mind"))
    denied = entity("不是质量问题", "reason_denied", "质量问题", "quality")
    assert (await talk.customer("不是质量问题", denied).hears(reason_denied="quality"))["reason"] == "changed_mind"

    talk = a_return(reason="wrong_item").customer("换货")
    text = "没说发错货，是尺码"
    denied = entity(text, "reason_denied", "发错货", "wrong_item")
    assert (await talk.customer(text, denied).hears(reason_denied="wrong_item"))["reason"] == "wrong_size"


async def test_the_ticket_of_another_order_is_offered_to_be_taken_back(mall: SqlMall) -> None:
    ticket = await written(mall)
    talk = Talk("cancel_ticket", "cancel_ticket", order_id="ORD10002").customer("撤销 ORD10002 的售后")
    assert (await talk.hears())["refusal"]["other"] == ticket.id
    said = await talk.does("action_refuse_cancel_ticket")
    assert ticket.id in said and "ORD10002" in said
    assert next(iter(talk.buttons.values())) == f'/cancel_ticket{{"ticket_id": "{ticket.id}"}}'


@pytest.mark.parametrize(
    ("size", "spec"),
    [("larger", "白 XL"), ("smaller", "白 M"), ("2XL", "白 2XL"), ("XXL", "白 2XL"), ("L", None), ("44", None)],
)
def test_another_size_of_the_same_goods(size: str, spec: str | None) -> None:
    specs = ["白 M", "白 L", "黑 XL", "白 XL", "白 2XL"]
    skus = [Sku(str(place), one, 100, 1) for place, one in enumerate(specs)]
    found = request_values.sku_of_size(skus, "白 L", size)
    assert (found.spec if found else None) == spec
