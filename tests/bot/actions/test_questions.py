"""Goods or rules: the message and what is at hand on the left, what the answer is about on the right."""

from __future__ import annotations

from typing import Any

import pytest
from rasa_sdk import Action

from bot.actions.complaints import Complain
from bot.actions.house import Chitchat
from bot.actions.misunderstandings import Inform, NotUnderstood, OutOfScope
from bot.actions.questions import AnswerFromGraph
from bot.actions.shopping import CompareProducts, ProductInfo, Recommend
from demo.goods import Article
from knowledge_graph import Graph
from tests.bot.actions.said import Said, answer, at_hand, frame

ACTIONS: dict[str, type[Action]] = {
    "ask_policy": AnswerFromGraph,
    "ask_promotion": AnswerFromGraph,
    "ask_product": ProductInfo,
    "ask_price": ProductInfo,
    "ask_stock": ProductInfo,
    "recommend_product": Recommend,
    "compare_products": CompareProducts,
    "nlu_fallback": NotUnderstood,
    "inform": Inform,
    "complain": Complain,
    "report_problem": NotUnderstood,
    "chitchat": Chitchat,
    "out_of_scope": OutOfScope,
}
SHOES = "疾风 3 轻量缓震跑鞋"
FRYERS = {"category": ("空气炸锅", "空气炸锅")}
NAMED = {"product": (SHOES, "疾风3")}
CARDS = ("utter_products", "utter_products_nearest", "utter_recommended", "utter_product_substitutes")


@pytest.fixture
def shown(articles: list[Article]) -> list[dict[str, str]]:
    """The air fryers, as a list shows them."""
    fryers = [one for one in articles if "空气炸锅" in one.name][:3]
    return [{"kind": "product", "id": one.id, "title": one.name} for one in fryers]


async def say(text: str, intent: str, **more: Any) -> Said:
    acts = more.pop("acts", ("question",))
    return await answer(ACTIONS[intent](), text, intent, acts=acts, sender="api:guest", **more)


# what is said, the intent, the entities, what is at hand ("list": the fryers are on the screen) → the first response
TABLE: list[tuple[str, str, dict[str, Any], str, str]] = [
    # a rule, whatever the intent was taken for
    ("七天无理由退货怎么算", "ask_product", {}, "", "utter_answer"),
    ("退货运费谁出", "ask_price", {}, "", "utter_answer"),
    ("退货运费谁出", "recommend_product", {}, "", "utter_answer"),
    ("空气炸锅退货运费谁出", "ask_policy", FRYERS, "", "utter_answer"),
    ("疾风3能开专票吗", "ask_policy", NAMED, "", "utter_answer"),
    ("退货运费谁出", "ask_policy", {}, "list", "utter_answer"),
    ("退货运费谁出", "nlu_fallback", {}, "", "utter_answer"),
    ("退货运费谁出", "chitchat", {}, "", "utter_answer"),
    # goods, whatever the intent was taken for
    ("疾风3防水吗", "ask_product", NAMED, "", "utter_product_attribute_unknown"),
    ("疾风3多少钱", "ask_policy", NAMED, "", "utter_product"),
    ("空气炸锅", "ask_policy", FRYERS, "", "utter_products"),
    ("有加湿器吗", "ask_stock", {"category": ("加湿器", "加湿器")}, "", "utter_products"),
    ("空气炸锅还有没有货", "ask_stock", FRYERS, "", "utter_products"),
    ("空气炸锅", "inform", FRYERS, "", "utter_products"),
    ("空气炸锅", "nlu_fallback", FRYERS, "", "utter_products"),
    ("有空气炸锅卖吗", "out_of_scope", FRYERS, "", "utter_products"),
    ("噪音大吗", "ask_policy", {}, "list", "utter_products_each"),
    ("第二个", "inform", {"ordinal": (2, "第二个")}, "list", "utter_product"),
    ("第二个多少钱", "nlu_fallback", {"ordinal": (2, "第二个")}, "list", "utter_product"),
    ("再便宜点的", "ask_price", {}, "list", "utter_product_nothing_cheaper"),
    ("便宜点的有没", "ask_promotion", {}, "list", "utter_product_nothing_cheaper"),
    ("便宜点的有没", "ask_promotion", {}, "", "utter_answer"),
    ("能便宜点吗", "ask_promotion", {}, "", "utter_answer"),
    # the graph knows how one asks for goods
    ("送妈妈什么好", "recommend_product", {}, "", "utter_recommended_kinds"),
    ("帮我比一比", "compare_products", {}, "", "utter_answer"),
    # neither: the question goes back to where the intent belongs
    ("多少钱", "ask_price", {}, "", "utter_product_unknown"),
    ("行车记录仪多少钱", "ask_price", {}, "", "utter_product_not_found"),
    ("32的多少钱", "ask_price", {}, "", "utter_product_unknown"),
    ("骆驼蹄子啥的", "recommend_product", {}, "", "utter_recommend_what"),
    ("骆驼和蹄子", "compare_products", {}, "", "utter_compare_what"),
    ("月亮上能不能签收骆驼", "ask_policy", {}, "", "utter_policy_unknown_of"),
    ("你会跳舞吗", "chitchat", {}, "", "utter_chitchat_asked"),
    ("帮我写首诗", "out_of_scope", {}, "", "utter_out_of_scope"),
]


@pytest.mark.parametrize(("text", "intent", "entities", "on_screen", "response"), TABLE)
async def test_what_it_is_about(
    text: str,
    intent: str,
    entities: dict[str, Any],
    on_screen: str,
    response: str,
    shown: list[dict[str, str]],
    answers: Graph,
) -> None:
    focus = at_hand(listed=shown, goods="spoken of") if on_screen else None
    stack = [frame("ask_policy", intent, began=2)] if intent in ("ask_policy", "ask_promotion") else []
    told = await say(text, intent, entities=entities, focus=focus, stack=stack)
    assert told.responses[0] == response, told.text


@pytest.mark.parametrize(
    ("text", "intent", "acts", "entities"),
    [
        ("空气炸锅又坏了", "complain", (), FRYERS),
        ("空气炸锅坏了，什么破玩意", "report_problem", (), FRYERS | {"reason": ("quality", "坏了")}),
        ("空气炸锅坏了怎么办", "ask_product", ("question",), FRYERS | {"reason": ("quality", "坏了")}),
        ("我说的是空气炸锅坏了", "nlu_fallback", ("objection",), FRYERS | {"reason": ("quality", "坏了")}),
        ("怎么又是空气炸锅", "ask_product", ("question", "objection"), FRYERS),
    ],
)
async def test_goods_that_are_complained_of_are_not_for_sale(
    text: str, intent: str, acts: tuple[str, ...], entities: dict[str, Any], answers: Graph
) -> None:
    told = await say(text, intent, acts=acts, entities=entities)
    assert told.responses and not set(told.responses) & set(CARDS), told.text


async def test_a_problem_is_met_with_ways_to_put_it_right(answers: Graph) -> None:
    told = await say("空气炸锅坏了怎么办", "ask_product", entities=FRYERS | {"reason": ("quality", "坏了")})
    assert told.responses == ["utter_problem"]
    assert told.titles == ["退货", "换货", "退款"]
    assert told.payloads[0] == '/request_return{"reason": "quality"}'


async def test_what_was_bought_is_meant_by_its_kind(answers: Graph) -> None:
    """The order at hand holds one fryer: it is that one, and none is offered for sale."""
    told = await answer(
        ProductInfo(),
        "空气炸锅多大容量",
        "ask_product",
        entities=FRYERS,
        focus=at_hand(order="ORD10004"),
        acts=["question"],
    )
    assert told.responses[0].startswith("utter_product_attribute")
    assert "可视窗" in told.text


@pytest.mark.parametrize(
    ("text", "intent", "entities", "response"),
    [
        ("空气炸锅的定时怎么调", "ask_product", FRYERS, "utter_use_unknown"),
        ("空气炸锅的炸篮要另外买吗", "out_of_scope", FRYERS, "utter_use_unknown"),
        ("空气炸锅能不能用锡纸", "ask_product", FRYERS | {"reason": ("quality", "不能用")}, "utter_use_unknown"),
        ("空气炸锅的内胆单卖吗", "ask_stock", FRYERS, "utter_use_unknown"),
        ("行车记录仪怎么格式化", "out_of_scope", {"category": ("行车记录仪", "行车记录仪")}, "utter_use_unknown"),
        ("有没有行车记录仪", "ask_stock", {"category": ("行车记录仪", "行车记录仪")}, "utter_shelf_missing"),
        ("你们有骑行头盔卖吗", "ask_stock", {}, "utter_product_not_found"),
        ("你发个链接给我", "ask_product", {}, "utter_where_to_find"),
    ],
)
async def test_goods_are_not_shown_to_whom_they_are_not_sought_by(
    text: str, intent: str, entities: dict[str, Any], response: str, answers: Graph
) -> None:
    assert (await say(text, intent, entities=entities)).responses == [response]


async def test_the_use_of_goods_that_were_bought_is_asked_of_their_page(answers: Graph) -> None:
    async def ask(text: str, **more: Any) -> Said:
        return await answer(ProductInfo(), text, "ask_product", acts=["question"], entities=FRYERS, **more)

    told = await ask("空气炸锅的炸篮怎么洗")
    assert told.responses == ["utter_product_attribute"] and "可视窗" in told.text, told.text
    told = await ask("空气炸锅的定时怎么调")
    assert told.responses == ["utter_use_unknown_of"] and "可视窗" in told.text, told.text
    assert told.payloads == ["/human_handoff"]
    again = await ask("空气炸锅的屏幕怎么点亮", turn=3, focus=told.slots["focus"])
    assert again.responses == ["utter_unknown_person"]


async def test_what_was_bought_before_is_no_wish(answers: Graph) -> None:
    for text in ("去年买过你们家的空气炸锅", "一直都在你家买空气炸锅"):
        told = await say(text, "ask_policy", acts=(), entities=FRYERS, stack=[frame("ask_policy", "ask_policy")])
        assert told.responses == ["utter_bought_before"], text


async def test_which_goods_is_asked_once(answers: Graph) -> None:
    once = await say("多少钱", "ask_price")
    assert once.responses == ["utter_product_unknown"]
    again = await say("什么价", "ask_price", turn=3, focus=once.slots["focus"])
    assert again.responses == ["utter_unknown_person"]


async def test_a_name_that_was_asked_for_answers_the_question_before_it(answers: Graph) -> None:
    before = {
        "text": "防水吗",
        "intent": {"name": "ask_product", "confidence": 0.9},
        "entities": [],
        "acts": ["question"],
    }
    event = {"event": "user", "text": "防水吗", "parse_data": before, "message_id": "m1", "metadata": {}}
    told = await say("疾风3", "ask_product", acts=(), entities=NAMED, focus=at_hand(goods="which one"), before=[event])
    assert told.responses == ["utter_product_attribute_unknown"]
    told = await say("疾风3", "ask_product", acts=(), entities=NAMED, focus=at_hand(goods="spoken of"), before=[event])
    assert told.responses == ["utter_product"]


async def test_what_is_remembered(answers: Graph) -> None:
    listed = await say("空气炸锅", "inform", entities=FRYERS)
    assert [one["kind"] for one in listed.slots["focus"]["listed"]["things"]] == ["product"] * 3
    assert listed.focus["product"] is None and listed.focus["goods"] == "spoken of"
    one = await say("第二个", "inform", entities={"ordinal": (2, "第二个")}, turn=3, focus=listed.slots["focus"])
    assert one.focus["product"] == listed.slots["focus"]["listed"]["things"][1]["id"]
    assert one.slots["focus"]["listed"]["things"] == listed.slots["focus"]["listed"]["things"]
