"""Questions about the rules of the shop, as tables: what is at hand, what is asked, what is said and where it is from.

Ann (customer A1, phone 154 0000 5678) is bound to ``api:ann``; ``api:guest`` is nobody.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from rasa_sdk import Action, Tracker
from rasa_sdk.executor import CollectingDispatcher
from sqlalchemy.ext.asyncio import AsyncSession

import settings
from bot.actions import graphs
from bot.actions.dialogue import NotUnderstood, OutOfScope
from bot.actions.feelings import Complain, WorryDelivery
from bot.actions.knowledge import AnswerFromGraph, NotHereYet
from bot.actions.tickets import TicketStatusAction
from bot.actions.wording import response_text
from knowledge_graph import Answering, Graph, content, gaps, read_files
from mall_adapter import OrderStatus, Reason, SqlMall, TicketKind, TicketRequest, create_engine, models
from mall_adapter.database import WRITES
from mall_adapter.demo.goods import Article
from mall_adapter.models import phone_index, phone_tail_index
from ops import graph_sync
from tests.knowledge_graph.servers import Server

DOMAIN: dict[str, Any] = yaml.safe_load((settings.ROOT / "bot" / "domain.yml").read_text("utf-8"))
ACTIONS: dict[str, type[Action]] = {
    "complain": Complain,
    "delete_my_data": NotHereYet,
    "energy_balance": NotHereYet,
    "inventory_report": NotHereYet,
    "nlu_fallback": NotUnderstood,
    "out_of_scope": OutOfScope,
    "ticket_status": TicketStatusAction,
    "worry_delivery": WorryDelivery,
}
TOPICS: dict[str, str] = yaml.safe_load((settings.ROOT / "bot" / "topics.yml").read_text("utf-8"))["intents"]
PHONE = "15400005678"
ORDERS: dict[str, tuple[str, OrderStatus, int, int | None]] = {  # goods, status, days since it was placed and delivered
    "ORD10001": ("疾风 3", OrderStatus.DELIVERED, 5, 3),
    "ORD10002": ("鲜肉月饼", OrderStatus.DELIVERED, 3, 1),
    "ORD10003": ("毛圈连帽卫衣", OrderStatus.COMPLETED, 43, 40),
    "ORD10004": ("可视窗空气炸锅", OrderStatus.PAID, 1, None),
    "ORD10005": ("雾面口红", OrderStatus.DELIVERED, 5, 3),
    "ORD10006": ("疾风 3", OrderStatus.CANCELLED, 5, None),
    "ORD10007": ("疾风 3", OrderStatus.DELIVERED, 6, 4),
}


@pytest.fixture(scope="session")
def bought(database: str, articles: Sequence[Article]) -> None:
    """Ann's orders, in the database of the goods."""
    now = datetime.now(UTC)

    def order(key: str, words: str, status: OrderStatus, placed: int, delivered: int | None) -> models.Order:
        article = next(one for one in articles if words in one.name)
        sku = article.skus[0]
        line = models.OrderLine(
            id=f"{key}-1",
            sku_id=sku.id,
            product_name=article.name,
            spec=sku.spec,
            quantity=1,
            unit_price_cents=sku.price_cents,
        )
        return models.Order(
            id=key,
            customer_id="A1",
            status=status,
            placed_at=now - timedelta(days=placed),
            ships_by=now + timedelta(days=1),
            delivered_at=None if delivered is None else now - timedelta(days=delivered),
            total_cents=sku.price_cents,
            region="浙江",
            recipient_name="安",
            recipient_phone=PHONE,
            recipient_address="湖滨路 18 号",
            phone_tail_index=phone_tail_index(key, PHONE),
            lines=[line],
        )

    async def add() -> None:
        engine = create_engine(database)
        async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
            ann = models.Customer(
                id="A1",
                name="安",
                phone=PHONE,
                phone_index=phone_index(PHONE),
                address="湖滨路 18 号",
                region="浙江",
                registered_at=now - timedelta(days=100),
            )
            session.add(ann)
            session.add_all(order(key, *made) for key, made in ORDERS.items())
        mall = SqlMall(engine)
        await mall.bind("api:ann", "A1")
        request = TicketRequest("ORD10007", TicketKind.RETURN, Reason.CHANGED_MIND)
        await mall.create_ticket("api:ann", request, "ann's return")
        await engine.dispose()

    asyncio.run(add())


@pytest.fixture(scope="session")
def learned(graph_server: Server) -> Answering:
    """The shop's real answers, from the graph."""

    async def learn() -> Answering:
        async with graph_server.graph() as graph:
            loaded = await content.load(graph, read_files(graph_sync.files(), graph_sync.facts()))
            assert loaded.written + loaded.unchanged > 200
            answering = Answering(graph)
            await answering.look()
            return answering

    return asyncio.run(learn())


@pytest.fixture
async def answers(
    graph: Graph, learned: Answering, bought: None, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Graph]:
    """The mall and its graph, with the answers at hand."""
    monkeypatch.setattr(graphs, "_answering", learned)
    yield graph


class Said:
    def __init__(self, tracker: Tracker, messages: list[dict[str, Any]], events: list[dict[str, Any]]) -> None:
        self.responses = [message["response"] for message in messages]
        self.text = "\n".join(response_text(tracker, DOMAIN, said["response"]).format_map(said) for said in messages)
        self.source: str | None = next(
            (said["custom"]["source"]["id"] for said in messages if "source" in (said.get("custom") or {})), None
        )
        self.buttons = [button for said in messages for button in said.get("buttons") or []]
        self.slots = {event["name"]: event["value"] for event in events if event["event"] == "slot"}
        self.starts = next((event["name"] for event in events if event["event"] == "followup"), None)


async def say(
    text: str,
    intent: str = "ask_policy",
    sender: str = "api:ann",
    loop: str | None = None,
    topic: str | None = None,
    entities: Sequence[dict[str, Any]] = (),
    **slots: Any,
) -> Said:
    """What the bot says to a message, with these slots, in that form."""
    found = [*entities]
    for key in ("ORD10001", "ORD10002", "ORD10003", "ORD10004", "ORD10005", "ORD10006"):
        if (start := text.find(key)) >= 0:
            found.append({"entity": "order_id", "value": key, "start": start, "end": start + len(key)})
    message = {"text": text, "intent": {"name": intent, "confidence": 0.9}, "entities": found, "topic": topic}
    known = {"language": "zh", **slots}
    active = {"name": loop} if loop else {}
    event = {"event": "user", "text": text, "parse_data": message, "message_id": "m1", "metadata": {}}
    tracker = Tracker(sender, known, message, [event], False, None, active, "action_listen")
    dispatcher = CollectingDispatcher()
    events = await ACTIONS.get(intent, AnswerFromGraph)().run(dispatcher, tracker, DOMAIN)
    return Said(tracker, dispatcher.messages, list(events))


@pytest.mark.parametrize(
    ("question", "said", "source"),
    [
        ("七天无理由退货的条件是啥", "二次销售", "no_reason_return"),
        ("退货运费谁出", "店里出", "return_freight"),
        ("運費誰出", "店里出", "return_freight"),
        ("退款一般几天到", "工作日", "refund_duration"),
        ("能开专票吗", "普通发票", "special_vat_invoice"),
        ("刚买就降价了咋办", "差价", "price_protection"),
        ("发货要多久", "48 小时", "ship_time"),
    ],
)
async def test_a_question(question: str, said: str, source: str, answers: Graph) -> None:
    answer = await say(question, sender="api:guest")
    assert (answer.responses, answer.source) == (["utter_answer"], source)
    assert said in answer.text


@pytest.mark.parametrize(
    ("question", "order", "parts", "source"),
    [
        ("这单还能价保吗", "ORD10001", ("疾风", "现在还来得及", "差价"), "price_protection"),
        ("这单还能价保吗", "ORD10003", ("卫衣", "已经过了时间"), "price_protection"),
        ("这单还能价保吗", "ORD10006", ("付款后 7 天内",), "price_protection"),
        ("这单还能退吗", "ORD10001", ("疾风", "可以退", "运费由您承担"), "no_reason_return"),
        ("这单还能退吗", "ORD10002", ("月饼", "不能退", "生鲜"), "no_reason_return"),
        ("这单还能退吗", "ORD10003", ("卫衣", "不能退", "已经超过"), "no_reason_return"),
        ("这单还能退吗", "ORD10004", ("空气炸锅", "可以退", "不用寄回"), "no_reason_return"),
        ("这单还能退吗", "ORD10005", ("口红", "拆没拆封"), "no_reason_return"),
        ("这单还能退吗", "ORD10006", ("二次销售",), "no_reason_return"),
        ("这单还能退吗", "ORD10007", ("疾风", "已经有售后工单 RT"), "no_reason_return"),
        ("有质量问题能退吗", "ORD10001", ("质量问题可以退", "运费由店里承担"), "quality_fault"),
        ("有质量问题能退吗", "ORD10003", ("质量问题不能退", "售后期"), "quality_fault"),
        ("评价怎么写", "ORD10004", ("还没签收", "点评价"), "review_how"),
        ("发货要多久", "ORD10004", ("ORD10004", "已付款"), "ship_time"),
    ],
)
async def test_in_the_light_of_the_order(
    question: str, order: str, parts: tuple[str, ...], source: str, answers: Graph
) -> None:
    answer = await say(question, order_id=order)
    assert answer.source == source
    assert all(part in answer.text for part in parts), answer.text
    assert answer.slots.get("order_id", order) == order


@pytest.mark.parametrize(
    ("question", "source"), [("订单 ORD10001 还能退吗", "no_reason_return"), ("ORD10001还能价保吗", "price_protection")]
)
async def test_the_number_of_an_order_does_not_disturb(question: str, source: str, answers: Graph) -> None:
    answer = await say(question)
    assert (answer.source, answer.slots["order_id"]) == (source, "ORD10001")


async def test_the_reason_that_the_customer_gives_counts(answers: Graph) -> None:
    reason = {"entity": "reason", "value": "quality", "start": 0, "end": 0}
    answer = await say("这单还能退吗", order_id="ORD10001", entities=[reason])
    assert "质量问题可以退" in answer.text


@pytest.mark.parametrize("question", ["ORD10001 还能价保吗", "我这单还能退吗"])
async def test_whose_order_it_is_has_to_be_known(question: str, answers: Graph) -> None:
    """A stranger is asked by the order form, which keeps what was asked, and reads nothing of the order."""
    answer = await say(question, sender="api:guest")
    assert (answer.responses, answer.starts) == ([], "order_form")
    assert answer.slots["starting"]["slots"]["order_answer"] in ("price_protection", "no_reason_return")


async def test_an_order_of_somebody_else_in_the_slots_tells_nothing(answers: Graph) -> None:
    answer = await say("七天无理由退货的条件是啥", sender="api:guest", order_id="ORD10001")
    assert answer.responses == ["utter_answer"]
    assert "疾风" not in answer.text


@pytest.mark.parametrize(
    ("loop", "slots", "responses"),
    [
        (None, {}, ["utter_answer"]),
        (None, {"last_ticket": True}, ["utter_freight_of_request_customer"]),
        ("after_sales_form", {"decision": {"freight_payer": "shop"}}, ["utter_freight_of_request_shop"]),
        ("after_sales_form", {"decision": {"freight_payer": "nobody"}}, ["utter_freight_of_request_nobody"]),
        ("invoice_form", {"decision": {"freight_payer": "shop"}}, ["utter_answer"]),
    ],
)
async def test_freight(
    loop: str | None, slots: dict[str, Any], responses: list[str], answers: Graph, shop: SqlMall
) -> None:
    if slots.get("last_ticket"):
        slots = {"last_ticket": (await shop.tickets_of("api:ann"))[0].id}
    answer = await say("退货运费谁出", loop=loop, **slots)
    assert (answer.responses, answer.source) == (responses, "return_freight")


async def test_how_the_request_stands(answers: Graph, shop: SqlMall) -> None:
    ticket = (await shop.tickets_of("api:ann"))[0].id
    assert ticket in (await say("退款多久到账", last_ticket=ticket)).text
    assert ticket not in (await say("退款多久到账", sender="api:guest", last_ticket=ticket)).text


@pytest.mark.parametrize(
    ("text", "intent", "responses", "source"),
    [
        ("你们是不是骗子，是正品吗", "complain", ["utter_sorry", "utter_answer"], "authentic"),
        ("太差了", "complain", ["utter_complain"], None),
        ("我好担心买贵了，能补差价吗", "worry_delivery", ["utter_worry", "utter_answer"], "price_protection"),
        ("钱退到哪", "ticket_status", ["utter_answer"], "refund_where"),
        ("能不能分期", "out_of_scope", ["utter_answer"], "instalments_rule"),
        ("帮我写首诗", "out_of_scope", ["utter_out_of_scope"], None),
        ("能量是什么", "energy_balance", ["utter_not_here_yet", "utter_answer"], "energy_what"),
        ("我的能量", "energy_balance", ["utter_not_here_yet"], None),
        ("我要注销", "delete_my_data", ["utter_not_here_yet", "utter_answer"], "delete_data_how"),
        ("库存报表", "inventory_report", ["utter_not_here_yet"], None),
    ],
)
async def test_a_question_that_was_taken_for_something_else(
    text: str, intent: str, responses: list[str], source: str | None, answers: Graph
) -> None:
    answer = await say(text, intent, sender="api:guest", topic=TOPICS.get(intent))
    assert (answer.responses, answer.source) == (responses, source)


async def test_what_no_answer_covers_is_counted_without_the_customers_numbers(answers: Graph) -> None:
    answer = await say("订单 ORD10001 能刻在石头上烧成瓷砖吗", sender="api:guest")
    assert answer.responses == ["utter_policy_unknown"]
    assert [gap.text for gap in await gaps.most_asked(answers)][:1] == ["能刻在石头上烧成瓷砖吗"]


async def test_asked_back_with_buttons_and_a_way_out(answers: Graph) -> None:
    asked = await say("优惠", "ask_promotion")
    assert asked.responses == ["utter_answer_which"]
    assert asked.buttons[-1]["title"] == "都不是"
    for button in asked.buttons[:-1]:
        value = json.loads(button["payload"].removeprefix("/ask_policy"))["answer"]
        tapped = await say(button["payload"], entities=[{"entity": "answer", "value": value, "start": 0, "end": 0}])
        assert (tapped.responses, tapped.source) == (["utter_answer"], value)
    none = [{"entity": "answer", "value": "none", "start": 0, "end": 0}]
    assert (await say(asked.buttons[-1]["payload"], entities=none)).responses == ["utter_policy_unknown"]


async def test_without_a_graph_the_answers_at_hand_go_on(
    shop: SqlMall, learned: Answering, bought: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphs, "_answering", learned)
    assert (await say("退货运费谁出")).source == "return_freight"
    assert (await say("订单能刻在石头上烧成瓷砖吗")).responses == ["utter_policy_unknown"]


async def test_without_a_graph_and_answers_it_is_said(shop: SqlMall, bought: None) -> None:
    assert (await say("退货运费谁出")).responses == ["utter_answer_away"]
    assert (await say("太差了，能退吗", "complain")).responses == ["utter_complain"]
