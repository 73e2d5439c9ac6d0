"""Complaints as the customer reads the answer and the operators read the record."""

from __future__ import annotations

from typing import Any

import pytest

from bot.actions import malls
from bot.actions.complaints import Complain
from bot.actions.house import Acknowledge, Greet
from bot.actions.misunderstandings import Inform, NotUnderstood, OutOfScope
from knowledge_graph import Graph
from mall_adapter import SqlMall
from mall_adapter.actors import SHELL
from mall_adapter.handoff import Complaint, ComplaintKind, HandoffReason
from tests.bot.actions.said import DOMAIN, Said, answer, at_hand, frame

HUMAN = "转人工"
SHOES = "ORD10001"


@pytest.fixture(autouse=True)
async def _nobody_has_complained_before(shop: SqlMall) -> None:
    desk = await malls.get_desk()
    for one in await desk.complaints(limit=500):
        await desk.settle_complaint(SHELL, one.id)


async def complain(text: str, kind: str | None = None, **more: Any) -> Said:
    named = {"complaint": (kind, text)} if kind else {}
    return await answer(Complain(), text, "complain", entities=named | more.pop("entities", {}), **more)


async def noted(words: str) -> Complaint:
    """What the operators find of these words."""
    found = [one for one in await (await malls.get_desk()).complaints(limit=500) if words in one.words]
    assert len(found) == 1, found
    return found[0]


# --- each kind -------------------------------------------------------------------------------------------------------

KINDS = [
    ("harmed", "跑鞋断了底害我摔骨折", ["退货", "换货", HUMAN]),
    ("fake", "专柜说这双是假的", ["退货", "换货", HUMAN]),
    ("courier", "送鞋的快递员骂我", ["请快递核实", HUMAN]),
    ("not_received", "写着签收可我没拿到鞋", ["请快递核实", HUMAN]),
    ("compensation", "你们得赔我误工费", ["退货", "换货", HUMAN]),
]


@pytest.mark.parametrize(("kind", "words", "buttons"), KINDS)
async def test_each_kind_is_heard_in_its_own_words_noted_and_told_what_can_be_done(
    shop: SqlMall, bought: None, kind: str, words: str, buttons: list[str]
) -> None:
    told = await complain(words, kind, focus=at_hand(order=SHOES))
    assert (told.responses[0], told.responses[-1]) == (f"utter_complain_{kind}", f"utter_complain_ways_{kind}")
    assert "疾风 3" in told.text.partition("\n")[2]
    assert [title for title in told.titles if title not in buttons] == []
    assert HUMAN in told.titles or kind == "compensation"
    complaint = await noted(words)
    assert (complaint.kind, complaint.order_id, complaint.enquiry) == (kind, SHOES, False)


async def test_goods_that_hurt_go_back_for_their_quality(shop: SqlMall, bought: None) -> None:
    told = await complain("口红用了嘴肿", "harmed", focus=at_hand(order="ORD10005"))
    assert told.payloads[0] == '/request_return{"order_id": "ORD10005", "reason": "quality"}'
    told = await complain("口红像假货", "fake", focus=at_hand(order="ORD10005"))
    assert told.payloads[0] == '/request_return{"order_id": "ORD10005", "reason": "not_as_described"}'


@pytest.mark.parametrize("kind", [one for one in ComplaintKind if one is not ComplaintKind.OTHER])
def test_every_kind_has_words_of_its_own(kind: ComplaintKind) -> None:
    for name in (f"utter_complain_{kind}", f"utter_complain_ways_{kind}"):
        chinese = [one["text"] for one in DOMAIN["responses"][name] if "condition" not in one]
        assert len(set(chinese)) == len(chinese) >= 2
        assert len(DOMAIN["responses"][name]) - len(chinese) >= 1
    first = [one["text"] for one in DOMAIN["responses"][f"utter_complain_{kind}"] if "condition" not in one]
    assert len(first) >= 4
    assert not [text for text in first if set("?？") & set(text)], "who is upset is not asked first"


def test_nothing_is_promised_to_who_asks_for_compensation() -> None:
    for variant in DOMAIN["responses"]["utter_complain_ways_compensation"]:
        assert any(
            word in variant["text"] for word in ("不能替店里答应", "没有权限", "不乱许诺", "can't promise", "no say")
        )


async def test_a_complaint_of_an_employee_leads_to_a_person_and_the_facts(shop: SqlMall, bought: None) -> None:
    told = await complain("三天了没人回我", "unanswered", focus=at_hand(order="ORD10004"))
    first, facts, ways = told.responses
    assert (first, facts[:12], ways) == ("utter_complain_unanswered", "utter_order_", "utter_complain_ways_unanswered")


async def test_mere_anger_is_heard_and_asks_for_no_number(shop: SqlMall) -> None:
    told = await complain("什么破店", sender="api:guest")
    assert told.responses == ["utter_complain", "utter_complain_ways"]
    assert told.titles == ["商品有问题", "看物流", HUMAN]
    assert (await noted("什么破店")).kind is ComplaintKind.OTHER


async def test_a_threat_is_met_with_respect_and_a_person(shop: SqlMall, bought: None) -> None:
    told = await complain("我打12315了", "threat", focus=at_hand(order=SHOES))
    assert told.responses == ["utter_complain_threat", "utter_complain_ways_threat"]
    assert HUMAN in told.titles


# --- which order -----------------------------------------------------------------------------------------------------


async def test_which_order_is_asked_once_and_the_tap_goes_on(shop: SqlMall, bought: None) -> None:
    first = await complain("有人用过的东西也敢发", "fake")
    assert first.responses == ["utter_complain_fake", "utter_complain_which"]
    assert len(first.titles) == 5
    assert first.titles[-1] == HUMAN
    assert (await noted("有人用过的东西也敢发")).order_id is None

    again = await complain("就是假的", "fake", turn=3, focus=first.slots["focus"])
    assert again.responses == ["utter_complain_again"]

    tapped = await answer(
        Complain(), "/complain", "complain", entities={"order_id": SHOES}, turn=4, focus=again.slots["focus"]
    )
    assert tapped.responses == ["utter_complain_ways_fake"]
    complaint = await noted("有人用过的东西也敢发")
    assert (complaint.order_id, complaint.words) == (SHOES, "有人用过的东西也敢发\n就是假的")


async def test_a_place_in_the_list_tells_the_order(shop: SqlMall, bought: None) -> None:
    first = await complain("骑手冲我吼", "courier")
    assert first.responses == ["utter_complain_courier", "utter_complain_which"]
    second = first.slots["focus"]["listed"]["things"][1]["id"]
    told = await complain("第二个", turn=3, entities={"ordinal": (2, "第二个")}, focus=first.slots["focus"])
    assert told.responses == ["utter_complain_ways_courier"]
    assert told.payloads[0] == f'/complain{{"enquiry": "{second}"}}'
    complaint = await noted("骑手冲我吼")
    assert (complaint.order_id, complaint.words) == (second, "骑手冲我吼")


async def test_who_is_unknown_may_send_the_number_later(shop: SqlMall, bought: None) -> None:
    first = await complain("煎锅炸了把我烫伤", "harmed", sender="api:hurt")
    assert first.responses == ["utter_complain_harmed", "utter_complain_number"]
    assert first.titles == ["绑定会员账号", HUMAN] or len(first.titles) == 2
    number = await answer(
        Inform(),
        "ORD10001 尾号5678",
        "inform",
        sender="api:hurt",
        entities={"order_id": "ORD10001", "phone_tail": "5678"},
        turn=3,
        focus=first.slots["focus"],
    )
    assert number.responses == ["utter_complain_ways_harmed"]
    complaint = await noted("煎锅炸了把我烫伤")
    assert (complaint.order_id, complaint.words) == (SHOES, "煎锅炸了把我烫伤")
    later = await complain("还烫着", "harmed", sender="api:hurt", turn=20, focus=number.slots["focus"])
    assert "utter_complain_number" not in later.responses


async def test_goods_that_are_named_tell_the_order(shop: SqlMall, bought: None) -> None:
    told = await complain("空气炸锅冒烟了", "harmed", entities={"category": ("空气炸锅", "空气炸锅")})
    assert told.focus["order"] == "ORD10004"


# --- again, and beside other things ----------------------------------------------------------------------------------


async def test_the_second_complaint_brings_other_facts_and_the_third_a_person(shop: SqlMall, bought: None) -> None:
    first = await complain("什么态度", focus=at_hand(order=SHOES))
    assert first.responses[0] == "utter_complain"
    second = await complain("垃圾", turn=3, focus=first.slots["focus"])
    assert second.responses == ["utter_complain_again"]
    third = await complain("恶心", turn=4, focus=second.slots["focus"])
    assert third.responses[0] == "utter_upset_call"
    assert await (await malls.get_desk()).withdraw("api:ann", "third")
    heard = at_hand(complaint="other", order=SHOES)  # and nothing told of the order
    assert (await complain("垃圾", turn=3, focus=heard)).responses[0].startswith("utter_order_")
    later = await complain("什么态度", turn=12, focus=third.slots["focus"])
    assert later.responses[0] == "utter_complain"


async def test_who_declines_a_person_is_offered_one_again(shop: SqlMall) -> None:
    first = await complain("垃圾", sender="api:no")
    second = await complain("恶心", sender="api:no", turn=3, focus=first.slots["focus"])
    no = {"event": "user", "text": "不用", "parse_data": {"text": "不用", "acts": ["no"]}}
    third = await complain("差劲", sender="api:no", turn=5, focus=second.slots["focus"], before=[no])
    assert third.responses == ["utter_complain_again"]


async def test_what_is_new_is_heard_anew(shop: SqlMall) -> None:
    first = await complain("垃圾", sender="api:new")
    second = await complain("我吃了拉肚子", "harmed", sender="api:new", turn=3, focus=first.slots["focus"])
    assert second.responses[0] == "utter_complain_harmed"
    third = await complain("你们怎么做生意的", sender="api:new", turn=4, focus=second.slots["focus"])
    assert third.responses == ["utter_complain_again"]
    assert "怎么做生意" in (await noted("我吃了拉肚子")).words


async def test_in_the_middle_of_a_request_it_is_heard_and_leaves_room_for_it(shop: SqlMall, bought: None) -> None:
    below = frame("after_sales", values={"order_id": SHOES})
    told = await complain("卖假货的", "fake", stack=[below, frame("complain")])
    assert (told.responses, told.titles) == (["utter_complain_fake"], [HUMAN])
    assert (await noted("卖假货的")).order_id == SHOES


async def test_a_complaint_about_the_ticket(answers: Graph, ticket: str) -> None:
    told = await complain("太慢了", focus=at_hand(ticket=ticket, order="ORD10007"))
    assert told.responses[0] == "utter_complain"
    assert told.responses[1].startswith("utter_ticket_")
    assert told.titles == ["售后进度", HUMAN]


async def test_what_follows_and_means_nothing_by_itself_goes_on_about_it(shop: SqlMall) -> None:
    first = await complain("面霜用了起疹子", "harmed", sender="api:on")
    helpless = await answer(
        OutOfScope(),
        "那怎么办啊",
        "out_of_scope",
        sender="api:on",
        acts=["question"],
        turn=3,
        focus=first.slots["focus"],
    )
    assert helpless.responses == ["utter_complain_ways_harmed"]
    more = await answer(
        NotUnderstood(),
        "我妈也用了",
        sender="api:on",
        turn=4,
        stack=[frame("cannot_handle")],
        focus=helpless.slots["focus"],
    )
    assert (more.responses, more.titles) == (["utter_complain_more"], [HUMAN])
    assert (await noted("面霜用了起疹子")).words == "面霜用了起疹子\n那怎么办啊\n我妈也用了"
    later = await answer(OutOfScope(), "那怎么办啊", "out_of_scope", sender="api:on", turn=20)
    assert later.responses == ["utter_out_of_scope"]


async def test_is_anybody_there_in_the_middle_is_no_hello(shop: SqlMall) -> None:
    assert (await answer(Greet(), "在吗", "greet", acts=["question"], turn=1)).responses == ["utter_greet"]
    assert (await answer(Greet(), "人呢", "greet", acts=["question"], turn=3)).responses == ["utter_greet_again"]
    assert (await answer(Greet(), "你好", "greet", acts=["question"], turn=3)).responses == ["utter_greet_again"]
    assert (await answer(Greet(), "？", "greet", acts=["question"], turn=3)).responses == ["utter_unanswered"]


async def test_asking_the_courier_is_noted(shop: SqlMall, bought: None) -> None:
    first = await complain("快递员把箱子从楼上扔下来", "courier", focus=at_hand(order=SHOES))
    assert first.payloads[0] == f'/complain{{"enquiry": "{SHOES}"}}'
    told = await answer(
        Complain(), "/complain", "complain", entities={"enquiry": SHOES}, turn=3, focus=first.slots["focus"]
    )
    assert told.responses == ["utter_enquiry_noted"]
    complaint = await noted("快递员把箱子从楼上扔下来")
    assert (complaint.enquiry, complaint.order_id) == (True, SHOES)
    foreign = await answer(Complain(), "/complain", "complain", entities={"enquiry": SHOES}, sender="api:guest")
    assert foreign.responses == ["utter_complain_number"]


# --- while a person is waited for ------------------------------------------------------------------------------------


async def test_who_waits_is_told_the_truth_once_and_then_that_it_is_noted(shop: SqlMall) -> None:
    desk = await malls.get_desk()
    for sender in ("api:line1", "api:line2"):
        await desk.request(sender, HandoffReason.ASKED, f"{sender} waits")
    told = await answer(Greet(), "人呢", "greet", sender="api:line2")
    assert told.responses == ["utter_handoff_still_queue"]
    focus = told.slots["focus"]
    for turn in (3, 4):
        told = await answer(Acknowledge(), "嗯", sender="api:line2", turn=turn, focus=focus)
        assert told.responses == ["utter_waiting_noted"]
    told = await complain("气死我了", sender="api:line2", turn=6, focus=focus)
    assert told.responses == ["utter_complain", "utter_waiting_noted"]
    told = await complain("垃圾", sender="api:line2", turn=9, focus=told.slots["focus"])
    assert told.responses == ["utter_handoff_still_queue"], "long untold"
    await desk.withdraw("api:line1", "w1")
    told = await answer(Acknowledge(), "嗯", sender="api:line2", turn=10, focus=told.slots["focus"])
    assert told.responses[0].startswith("utter_handoff_still_"), "it has changed"
    await desk.withdraw("api:line2", "w2")


@pytest.mark.parametrize("name", ["next", "queue", "still_next", "still_queue", "closed"])
def test_nobody_is_told_that_a_person_comes_at_once(name: str) -> None:
    texts = [one["text"] for one in DOMAIN["responses"][f"utter_handoff_{name}"]]
    assert not [text for text in texts if any(word in text for word in ("马上", "很快", "快了", "提醒过", "reminded"))]


# --- is anybody there? -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", [Greet(), Acknowledge()])
async def test_whoever_waits_for_something_open_hears_of_it(shop: SqlMall, action: Any) -> None:
    below = frame("after_sales", "request_return", asked="reason", reminded=1)
    told = await answer(action, "在吗", "greet", sender="api:open", stack=[below, frame("greet")])
    assert told.responses == ["utter_open"]
    assert "原因" in told.text


async def test_the_flows_remind_by_themselves_the_first_time(shop: SqlMall) -> None:
    below = frame("after_sales", "request_return", asked="reason", reminded=0)
    told = await answer(Greet(), "在吗", "greet", sender="api:open", stack=[below, frame("greet")])
    assert told.responses == ["utter_greet"]


async def test_a_complaint_is_not_forgotten(shop: SqlMall) -> None:
    focus = at_hand(complaint="harmed")
    told = await answer(Greet(), "怎么不说话", "greet", acts=["question"], focus=focus, turn=4)
    assert told.responses == ["utter_here_complaint"]
    assert (await answer(Greet(), "你好", "greet", focus=focus, turn=4)).responses[0] == "utter_greet"
