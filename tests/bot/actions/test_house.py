"""What the house does in every flow, and what it says to bare values and to what it has not understood."""

from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from bot.actions import malls, misunderstandings
from bot.actions.flow_files import flow_files, intents_of
from bot.actions.house import (
    AskChange,
    AskResume,
    AskWhich,
    BeginNext,
    Cancelled,
    Chitchat,
    Interrupt,
    Noted,
    NothingToCancel,
    Remind,
    Repeat,
    SummaryGone,
)
from bot.actions.misunderstandings import Help, Inform, NotUnderstood, OutOfScope, ReadAnew
from knowledge_graph import Graph
from mall_adapter import SqlMall, models
from mall_adapter.handoff import HandoffReason
from mall_adapter.values import Reason, TicketKind, TicketRequest
from storage import create_engine
from tests.bot.actions.said import DOMAIN, Said, answer, at_hand, frame

HUMAN = "转人工"


async def lost(text: str, times: int, **more: Any) -> Said:
    return await answer(NotUnderstood(), text, lost=times, stack=[frame("cannot_handle", began=2)], **more)


# --- not understood --------------------------------------------------------------------------------------------------


async def test_likely_readings_are_two_buttons_with_a_way_out(answers: Graph) -> None:
    ranking = {"goodbye": 0.4, "inventory_report": 0.38, "request_return": 0.35, "sales_report": 0.33}
    ranking |= {"order_status": 0.16, "track_parcel": 0.15}
    told = await lost("那个啥", 1, sender="api:guest", ranking=ranking)
    assert told.responses == ["utter_did_you_mean"]
    assert told.titles == ["退货", "查订单", "都不是"]
    none = await answer(Inform(), told.payloads[-1], "inform", sender="api:guest", entities={"answer": "none"})
    assert none.responses == ["utter_say_otherwise"]


def test_what_is_not_open_or_no_wish_is_never_guessed() -> None:
    ruled_out = misunderstandings._NO_GUESS | intents_of("not_here_yet")
    assert {"goodbye", "greet", "sales_report", "inventory_report"} <= ruled_out
    assert not {"request_return", "my_coupons", "human_handoff", "recommend_product"} & ruled_out


async def test_a_yes_takes_up_the_only_reading(answers: Graph) -> None:
    told = await lost("那个啥", 1, sender="api:guest", ranking={"request_return": 0.45, "goodbye": 0.2})
    assert (told.responses, told.titles) == (["utter_did_you_mean_one"], ["退货", "都不是"])
    offered = {one["metadata"]["offers"] for one in DOMAIN["responses"]["utter_did_you_mean_one"]}
    assert offered == {"first_button"}


async def test_what_is_hardly_likely_is_not_asked_back(answers: Graph) -> None:
    told = await lost("那个啥", 1, sender="api:guest", ranking={"request_return": 0.2, "order_status": 0.19})
    assert told.responses == ["utter_go_on"]


@pytest.mark.parametrize(
    ("text", "acts", "ranking", "response"),
    [
        ("那我等着", [], {}, "utter_go_on"),
        ("等下我老公下班回来弄", [], {}, "utter_heard"),
        ("帮我跟物业讲一声", ["request"], {}, "utter_heard_request"),
        ("我那天跟物业王师傅讲好放门房结果他第二天就回老家了", [], {}, "utter_heard_request"),
        ("锅底一股怪味儿", [], {"report_problem": 0.25, "complain": 0.2}, "utter_heard_trouble"),
    ],
)
async def test_what_asks_nothing_is_heard(
    text: str, acts: list[str], ranking: dict[str, float], response: str, answers: Graph
) -> None:
    told = await lost(text, 1, sender="api:guest", acts=acts, ranking=ranking)
    assert told.responses == [response]
    assert (HUMAN in told.titles) == (response != "utter_go_on")


async def test_a_remark_goes_on_with_what_is_at_hand(answers: Graph) -> None:
    told = await lost("都一礼拜", 1, focus=at_hand(order="ORD10001"))
    assert told.responses == ["utter_not_understood_order"]
    assert (await lost("那啥", 2, sender="api:guest")).responses == ["utter_say_what"]


async def test_what_an_open_request_cannot_take_is_heard_with_what_it_lacks(answers: Graph) -> None:
    stack = [frame("after_sales", "report_problem", asked="ticket_kind"), frame("cannot_handle", began=2)]
    told = await answer(NotUnderstood(), "缩了一大截", lost=1, stack=stack)
    assert told.responses == ["utter_heard_lacking"]
    assert (await answer(NotUnderstood(), "都没法穿", lost=2, stack=stack)).responses == ["utter_heard_aside"]


async def test_who_was_misunderstood_is_read_otherwise_and_then_hears_of_a_person(answers: Graph) -> None:
    before = said_before("鞋子那个", inform=0.6, request_exchange=0.3)
    told = await answer(ReadAnew(), "我不是问这个", acts=["reproaches"], before=[before])
    assert told.responses == ["utter_sorry_say_what"]
    assert told.titles == ["换货", HUMAN]
    again = await answer(ReadAnew(), "答非所问", acts=["reproaches"], turn=3, focus=told.slots["focus"])
    assert again.responses == ["utter_sorry_person"]


async def test_in_the_middle_of_a_request_its_name_is_told(answers: Graph) -> None:
    stack = [frame("after_sales", "request_return"), frame("pattern_reproached", began=2)]
    told = await answer(ReadAnew(), "你没看懂我说的", acts=["reproaches"], stack=stack)
    assert told.responses == ["utter_sorry_task"]
    assert "退货" in told.text


async def test_another_rule_than_the_one_that_was_told(answers: Graph) -> None:
    before = said_before("退货运费谁出", ask_policy=0.9)
    focus = at_hand(1, answer="return_how")
    told = await answer(ReadAnew(), "答非所问", acts=["reproaches"], before=[before], focus=focus)
    assert told.responses == ["utter_sorry_misread", "utter_answer"]
    assert told.source == "return_freight"


async def test_no_two_guesses_have_one_title(answers: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DOMAIN["responses"], "utter_title_request_refund", [{"text": "退货"}])
    ranking = {"request_refund": 0.3, "request_return": 0.28, "order_status": 0.2}
    told = await lost("那个啥", 1, sender="api:guest", ranking=ranking)
    assert told.titles == ["退货", "查订单", "都不是"]
    assert told.payloads[0] == "/request_refund"


@pytest.mark.parametrize(
    ("times", "response"),
    [
        (1, "utter_policy_unknown"),
        (2, "utter_policy_unknown"),
        (3, "utter_unknown_person"),
        (5, "utter_unknown_person"),
    ],
)
async def test_the_ladder(times: int, response: str, answers: Graph) -> None:
    told = await lost("呜啦", times, sender=f"api:lost{times}", acts=["question"])
    assert told.responses == [response]
    assert HUMAN in told.titles
    offered = {variant.get("metadata", {}).get("offers") for variant in DOMAIN["responses"][response]}
    assert offered == {"human_handoff"}


async def test_a_person_who_was_offered_in_vain_is_called(answers: Graph) -> None:
    focus: dict[str, Any] = {}
    for turn, response in enumerate(("utter_policy_unknown", "utter_unknown_person", "utter_call_at_last"), 2):
        told = await lost("呜啦", 1, sender="api:vain", acts=["question"], turn=turn, focus=focus)
        assert told.responses[0] == response
        focus = told.slots["focus"]
    assert told.slots["queued"] and await (await malls.get_desk()).live("api:vain")


async def test_nobody_is_offered_twice(answers: Graph) -> None:
    await (await malls.get_desk()).request("api:waits", HandoffReason.ASKED, "waits")
    told = await lost("呜啦", 3, sender="api:waits")
    assert told.responses[0].startswith("utter_handoff_still_")


async def test_what_is_sure_comes_before_any_ladder(answers: Graph) -> None:
    told = await lost("退货运费谁出", 3, sender="api:guest", acts=["question"])
    assert (told.responses, told.source) == (["utter_answer"], "return_freight")


@pytest.mark.parametrize(
    ("focus", "response", "titles"),
    [
        ({"order": "ORD10001"}, "utter_not_understood_order", ["退货", "换货", HUMAN]),
        ({"order": "ORD10004"}, "utter_not_understood_order", ["催发货", "改地址", HUMAN]),
        ({"product": "P081"}, "utter_not_understood_goods", [HUMAN]),
        ({"answer": "invoice_how"}, "utter_help_answer", ["开发票", HUMAN]),
        ({}, "utter_ask_help", []),  # its buttons stand in the response
    ],
)
async def test_how_do_i_do_it_is_about_what_is_at_hand(
    focus: dict[str, Any], response: str, titles: list[str], answers: Graph
) -> None:
    told = await answer(Help(), "怎么弄呀", "ask_help", focus=at_hand(**focus))
    assert (told.responses, told.titles) == ([response], titles)


async def test_the_ticket_at_hand_is_helped_with(answers: Graph, ticket: str) -> None:
    told = await answer(Help(), "怎么弄呀", "ask_help", focus=at_hand(ticket=ticket))
    assert told.responses == ["utter_not_understood_ticket"]
    assert f'/cancel_ticket{{"ticket_id": "{ticket}"}}' in told.payloads


def said_before(text: str, **ranking: float) -> dict[str, Any]:
    message = {"intent_ranking": [{"name": name, "confidence": sure} for name, sure in ranking.items()]}
    return {"event": "user", "text": text, "message_id": "before", "parse_data": message}


async def test_the_number_of_an_order_is_told_for_what_was_wanted(answers: Graph) -> None:
    number: dict[str, Any] = {"entities": {"order_id": "ORD10001"}}
    told = await inform("ORD10001", before=[said_before("发票的事咋整", request_invoice=0.4)], **number)
    assert (told.responses, told.titles[0]) == (["utter_inform_order_wish"], "开发票")
    weak = await inform("ORD10001", before=[said_before("在忙吗", request_invoice=0.1)], **number)
    assert weak.responses == ["utter_inform_order"]
    done = {"written": {"flow": "request_invoice", "id": "x"}}
    written = await inform(
        "ORD10001", before=[said_before("开票", request_invoice=0.9)], focus=at_hand(2, **done), **number
    )
    assert written.responses == ["utter_inform_order"]
    asked = await inform("ORD10001", focus=at_hand(unknown="any"), **number)
    assert (asked.responses, asked.titles) == (["utter_inform_order_asked"], [HUMAN])


async def test_values_of_a_message_count_whatever_it_meant(answers: Graph) -> None:
    told = await lost("系ORD10001", 1, entities={"order_id": "ORD10001"})
    assert told.responses == ["utter_inform_order"]


async def test_a_question_at_a_summary_is_answered_or_not_known(answers: Graph) -> None:
    open_task = [frame("after_sales", "request_return", asked="confirmed"), frame("cannot_handle", began=2)]
    told = await answer(
        NotUnderstood(), "寄给月球收吗", "request_return", acts=["question"], stack=open_task, sender="api:guest"
    )
    assert told.responses == ["utter_unknown_aside_of"]
    told = await answer(
        NotUnderstood(),
        "退货运费谁出",
        "request_return",
        acts=["question"],
        stack=open_task,
        decision={"freight_payer": "shop"},
    )
    assert told.responses == ["utter_freight_of_request_shop"]
    entities = {"category": ("跑鞋", "跑鞋"), "reason": ("dislike", "不喜欢")}
    told = await answer(
        NotUnderstood(),
        "跑鞋不喜欢能换月球款吗",
        "request_return",
        acts=["question"],
        stack=open_task,
        sender="api:guest",
        entities=entities,
    )
    assert not set(told.responses) & {"utter_products", "utter_problem"}, told.text


async def test_only_what_was_not_understood_is_put_before_the_trainers(answers: Graph, database: str) -> None:
    async def noted() -> int:
        engine = create_engine(database)
        async with AsyncSession(engine) as session:
            number = await session.scalar(select(func.count()).select_from(models.Misunderstood))
        await engine.dispose()
        return number or 0

    before = await noted()
    await lost("呜啦呜啦", 0)
    assert await noted() == before
    await lost("呜啦呜啦", 1)
    assert await noted() == before + 1


@pytest.mark.parametrize(("acts", "intent"), [(["correction"], "nlu_fallback"), ([], "correct")])
async def test_a_correction_of_nothing(acts: list[str], intent: str, answers: Graph) -> None:
    told = await lost("说错了", 1, sender="api:guest", acts=acts, intent=intent)
    assert told.responses == ["utter_correct"]


# --- bare values -----------------------------------------------------------------------------------------------------


async def inform(text: str, sender: str = "api:ann", **more: Any) -> Said:
    return await answer(Inform(), text, "inform", sender=sender, **more)


async def test_an_order_of_ones_own_is_shown_with_what_can_be_done(answers: Graph) -> None:
    told = await inform("ORD10001", entities={"order_id": "ORD10001"})
    assert told.responses == ["utter_inform_order"]
    assert "疾风" in told.text and "已签收" in told.text
    assert told.payloads[0] == '/request_return{"order_id": "ORD10001"}'
    assert told.focus["order"] == "ORD10001"
    gone = await inform("ORD10006", entities={"order_id": "ORD10006"})
    assert gone.responses == ["utter_order_cancelled"]
    assert "原路" in gone.text and "3 个工作日" in gone.text
    at_work = await inform("ORD10007", entities={"order_id": "ORD10007"})
    assert at_work.titles[0] == "售后进度"


async def test_the_tail_sent_a_second_too_early_proves_the_order(answers: Graph) -> None:
    first = await inform("ORD10001", "api:early", entities={"order_id": "ORD10001"})
    assert (first.responses, first.focus["order"]) == (["utter_inform_needs_tail"], "ORD10001")
    wrong = await inform("1111", "api:early", turn=3, focus=first.slots["focus"], entities={"phone_tail": "1111"})
    assert wrong.responses == ["utter_inform_wrong_tail"]
    assert "4" in wrong.text
    right = await inform("5678", "api:early", turn=4, focus=wrong.slots["focus"], entities={"four_digits": "5678"})
    assert right.responses == ["utter_inform_order"]


async def test_the_tail_may_come_first(answers: Graph) -> None:
    first = await inform("尾号5678", "api:tail", entities={"phone_tail": "5678"})
    assert first.responses == ["utter_inform_tail"]
    second = await inform("ORD10002", "api:tail", turn=3, focus=first.slots["focus"], entities={"order_id": "ORD10002"})
    assert second.responses == ["utter_inform_order"]
    assert (await inform("5678", entities={"phone_tail": "5678"})).responses == ["utter_inform_tail_bound"]


@pytest.mark.parametrize(
    ("text", "said", "more"),
    [
        ("月饼那个", "utter_inform_order", {"mention": "那个"}),
        ("口红断了", "utter_problem", {"reason": "damaged"}),
        ("空气炸锅什么时候发", "utter_inform_order", {"topic": "delivery"}),
        ("空气炸锅", "utter_product", {}),
    ],
)
async def test_goods_of_ones_own_order_are_that_order(
    text: str, said: str, more: dict[str, Any], answers: Graph
) -> None:
    kind = {"月饼那个": "月饼", "口红断了": "口红"}.get(text, "空气炸锅")
    topic = more.pop("topic", None)
    told = await inform(text, entities={"category": kind, **more}, **({"topic": topic} if topic else {}))
    assert told.responses[0].startswith(said)


async def test_no_such_order_and_one_that_is_locked(answers: Graph) -> None:
    told = await inform("ORD99999", "api:lock", entities={"order_id": "ORD99999"})
    assert (told.responses, told.focus["order"]) == (["utter_inform_needs_tail"], "ORD99999")
    both = {"order_id": "ORD10003", "phone_tail": "0000"}
    for _ in range(5):
        told = await inform("ORD10003 0000", "api:lock", entities=both)
    assert told.responses == ["utter_inform_order_locked"]


async def test_a_ticket_is_told(answers: Graph, ticket: str) -> None:
    told = await inform(ticket, entities={"ticket_id": ticket})
    assert told.responses[0].startswith("utter_ticket_")
    assert (told.focus["ticket"], told.focus["order"]) == (ticket, "ORD10007")
    hidden = await inform(ticket, "api:guest", entities={"ticket_id": ticket})
    assert hidden.responses == ["utter_inform_ticket_not_found"]


async def test_a_reason_is_met_with_three_ways(answers: Graph) -> None:
    told = await inform("开胶了", entities={"reason": ("quality", "开胶")})
    assert (told.responses, told.titles) == (["utter_problem"], ["退货", "换货", "退款"])
    told = await inform("开胶了", entities={"reason": ("quality", "开胶")}, focus=at_hand(order="ORD10001"))
    assert told.responses == ["utter_problem_of_order"]
    assert told.payloads[0] == '/request_return{"order_id": "ORD10001", "reason": "quality"}'
    late = await inform("太久没到", entities={"reason": ("late_delivery", "太久没到")})
    assert late.titles == ["催发货", "看物流", "退款"]


async def test_a_place_in_the_list_is_that_order(answers: Graph) -> None:
    shown = [{"kind": "order", "id": key, "title": key} for key in ("ORD10001", "ORD10004")]
    told = await inform("第二个", entities={"ordinal": (2, "第二个")}, focus=at_hand(listed=shown))
    assert told.focus["order"] == "ORD10004"


async def test_nothing_at_all(answers: Graph) -> None:
    assert (await inform("那个", "api:guest")).responses == ["utter_inform_what"]
    assert (await inform("嘎嘣", focus=at_hand(order="ORD10001"))).responses == ["utter_not_understood_order"]


# --- talk ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("feeling", ["anger", "worry", "urge"])
async def test_a_remark_of_somebody_upset_is_no_small_talk(answers: Graph, feeling: str) -> None:
    told = await answer(Chitchat(), "唉", "chitchat", feeling=feeling, focus=at_hand(order="ORD10004"))
    assert (told.responses, told.titles[-1]) == (["utter_chitchat_troubled"], HUMAN)
    told = await answer(OutOfScope(), "心疼", "out_of_scope", feeling=feeling)
    assert told.responses == ["utter_chitchat_troubled"]
    told = await lost("那我等着", 1, sender="api:guest", feeling=feeling)
    assert told.responses == ["utter_chitchat_troubled"]


async def test_a_question_that_only_reproaches_is_no_gap(answers: Graph) -> None:
    told = await lost("呜啦", 1, sender="api:blames", acts=["question"], feeling="anger")
    assert (told.responses, told.titles) == (["utter_anger_unanswered"], [HUMAN])
    assert told.focus["complaint"] == "other" and "unknown" not in told.focus


async def test_talk_that_is_not_the_shops(answers: Graph) -> None:
    assert (await answer(Chitchat(), "我刚下楼遛弯了", "chitchat")).responses == ["utter_chitchat"]
    assert (await answer(OutOfScope(), "写首诗", "out_of_scope")).responses == ["utter_out_of_scope"]
    shops = await answer(OutOfScope(), "能跨行到帐吗那个啥", "out_of_scope", acts=["question"], topic="payment")
    assert shops.responses == ["utter_policy_unknown_of"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("今天好冷啊", "weather"),
        ("讲个笑话", "joke"),
        ("唉 累死了", "tired"),
        ("被老板骂了一顿", "low"),
        ("我姓赵 七十了 打字慢", "slow"),
        ("你叫什么呀", "name"),
    ],
)
async def test_small_talk_is_met_in_kind(text: str, kind: str, answers: Graph) -> None:
    for action in (Chitchat(), OutOfScope()):
        assert (await answer(action, text, "chitchat")).responses == [f"utter_chitchat_{kind}"]


async def test_what_is_told_of_whom_goods_are_for_is_kept_in_mind(answers: Graph) -> None:
    shown = [{"kind": "product", "id": one, "title": one} for one in ("P1", "P2")]
    focus = at_hand(1, listed=shown, goods="spoken of")
    for action in (Chitchat(), OutOfScope(), NotUnderstood()):
        assert (await answer(action, "他不喝酒", "chitchat", focus=focus)).responses == ["utter_goods_noted"]
    asked = await answer(OutOfScope(), "他会写诗吗", "out_of_scope", acts=["question"], focus=focus)
    assert asked.responses == ["utter_out_of_scope"]


async def test_nobody_in_trouble_hears_a_joke(answers: Graph) -> None:
    problem = {"intent": {"name": "report_problem", "confidence": 0.9}}
    before = [{"event": "user", "text": "漏了", "message_id": "before", "parse_data": problem}]
    told = await answer(Chitchat(), "笑死", "chitchat", before=before)
    assert told.responses == ["utter_chitchat_troubled"]


async def test_once_more_because_the_customer_asks(answers: Graph) -> None:
    def bot(text: str, **more: Any) -> dict[str, Any]:
        return {"event": "bot", "text": text, "data": {"buttons": [{"title": "好", "payload": "/affirm"}]}, **more}

    user = {"event": "user", "text": "嗯", "parse_data": {}, "message_id": "m1", "metadata": {}}
    told = await answer(Repeat(), "再说一遍", before=[user, bot("七天内可以退。", metadata={})])
    assert told.responses == ["utter_repeat"] and "七天内可以退。" in told.text
    assert told.payloads == ["/affirm"]
    again = await answer(Repeat(), "没看懂", before=[user, bot("再说一遍：七天", metadata={"said": "七天内可以退。"})])
    assert again.responses == ["utter_repeat_again"]
    assert again.text.count("七天内可以退。") == 1
    assert (await answer(Repeat(), "再说一遍")).responses == ["utter_acknowledge"]


async def test_a_yes_to_two_ways_shows_them_again(answers: Graph) -> None:
    user = {"event": "user", "text": "催一下", "parse_data": {}, "message_id": "m1", "metadata": {}}
    late = {"event": "bot", "text": "晚了，可以等也可以退款", "metadata": {}}
    late["data"] = {"buttons": [{"title": "申请退款", "payload": "/request_refund"}]}
    told = await answer(AskWhich(), "好的", before=[user, late])
    assert (told.responses, told.payloads) == (["utter_ask_which"], ["/request_refund"])


async def test_the_button_of_an_old_summary(answers: Graph) -> None:
    ended = {"ended": {"flow": "after_sales", "intent": "request_return", "turn": 4}, "turn": 5}
    gone = await answer(SummaryGone(), "/affirm", dialogue=ended)
    assert (gone.responses, gone.payloads) == (["utter_summary_gone"], ["/request_return"])
    written = {"written": {"flow": "after_sales", "id": "RT1", "order": "ORD1", "turn": 4}}
    done = await answer(SummaryGone(), "/affirm", dialogue=ended, focus=written)
    assert (done.responses, done.payloads) == (["utter_summary_done"], [])


# --- one request and the next ----------------------------------------------------------------------------------------


async def test_coming_back_and_going_on(answers: Graph) -> None:
    returning, invoice = frame("after_sales", "request_return", "waiting"), frame("request_invoice", "request_invoice")
    told = await answer(AskResume(), "好", stack=[returning])
    assert told.responses == ["utter_ask_resume"] and "退货" in told.text
    told = await answer(Interrupt(), "开发票", stack=[returning, invoice])
    assert told.text.index("开发票") < told.text.index("退货")
    told = await answer(BeginNext(), "好", stack=[frame("request_invoice", "request_invoice", "next")])
    assert told.responses == ["utter_begin_next"] and "开发票" in told.text
    told = await answer(BeginNext(), "好", stack=[frame("after_sales", "request_return", "next")], order_id="ORD10002")
    assert "ORD10002" in told.text and "退货" in told.text


async def test_what_was_noted_is_named(answers: Graph) -> None:
    other = frame("after_sales", "request_return", "next", values={"order_id": "ORD10002"})
    wish = frame("request_invoice", "request_invoice", "next")
    told = await answer(Noted(), "…", stack=[wish, other, frame("after_sales", "request_return")])
    assert " (ORD10002) 的“退货”、“开发票”" in told.text and "记下了" in told.text


@pytest.mark.parametrize(
    ("asked", "missing", "said"),
    [("reason", None, "原因"), ("order_id", None, "是哪一单"), (None, "phone_tail", "后四位"), (None, None, "退货")],
)
async def test_a_reminder_names_the_wish_and_what_it_lacks(
    asked: str | None, missing: str | None, said: str, answers: Graph
) -> None:
    told = await answer(Remind(), "谢谢", stack=[frame("after_sales", "request_return", asked=asked)], missing=missing)
    assert said in told.text and "退货" in told.text
    assert told.responses[0] in ("utter_remind", "utter_remind_any")


async def test_what_was_told_beside_the_question_is_noted_and_the_orders_are_still_at_hand(answers: Graph) -> None:
    asked = frame("request_invoice", "request_invoice", asked="order_id", aside=4)
    told = await answer(Remind(), "公司的", turn=4, stack=[asked])
    assert told.responses == ["utter_remind_noted"] and "是哪一单" in told.text
    assert "1. 空气炸锅" in told.titles


def test_every_question_can_be_reminded_of() -> None:
    steps = [step for flow in flow_files().values() for step in flow["steps"]]
    slots = {step["collect"] for step in steps if "collect" in step}
    slots |= {slot for step in steps for slot in step.get("needs", ())}
    assert slots and not {slot for slot in slots if f"utter_word_slot_{slot}" not in DOMAIN["responses"]}


async def test_what_can_be_changed_is_what_is_known() -> None:
    told = await answer(AskChange(), "不对", stack=[frame("after_sales")], reason="dislike", order_id="ORD10001")
    assert told.titles == ["改原因", "换个订单", "不办了"]
    assert told.payloads[0] == '/inform{"change": "reason"}'
    changeable = {slot for flow in flow_files().values() for slot in flow.get("changeable", ())}
    assert not {slot for slot in changeable if f"utter_word_change_{slot}" not in DOMAIN["responses"]}


# --- stopping --------------------------------------------------------------------------------------------------------


async def test_stopping_what_is_open(answers: Graph, ticket: str) -> None:
    assert (await answer(Cancelled(), "算了")).responses == ["utter_cancelled"]
    written = at_hand(written={"flow": "after_sales", "id": ticket}, ticket=ticket)
    assert (await answer(Cancelled(), "算了", focus=written)).responses == ["utter_cancelled_this"]
    told = await answer(Cancelled(), "那个货我不退了", focus=written)
    assert told.responses == ["utter_cancelled_but_ticket"]
    assert told.payloads == [f'/cancel_ticket{{"ticket_id": "{ticket}"}}']


async def test_a_ticket_of_a_turn_that_was_cut_off_is_not_denied(answers: Graph, shop: SqlMall) -> None:
    request = TicketRequest("ORD10005", TicketKind.RETURN, Reason.QUALITY)
    made = await shop.create_ticket("api:ann", request, "cut off")
    told = await answer(Cancelled(), "算了", focus=at_hand(order="ORD10005"))
    assert told.responses == ["utter_cancelled_but_ticket"] and made.id in told.text
    await shop.cancel_ticket("api:ann", made.id, "cut off, taken back")
    assert (await answer(Cancelled(), "算了", focus=at_hand(order="ORD10005"))).responses == ["utter_cancelled"]


async def test_a_stop_right_after_a_ticket_was_told_is_about_it(answers: Graph, ticket: str) -> None:
    told = await answer(NothingToCancel(), "那我不退了", focus=at_hand(1, ticket=ticket))
    assert told.responses == ["utter_ticket_stands"] and ticket in told.text
    later = await answer(NothingToCancel(), "那我不退了", turn=5, focus=at_hand(1, ticket=ticket))
    assert later.responses == ["utter_nothing_to_cancel"]


async def test_a_ticket_that_the_mall_no_longer_has_leaves_nothing_to_take_back(answers: Graph) -> None:
    for focus in (at_hand(1, ticket="T-GONE"), at_hand(written={"flow": "after_sales", "id": "T-GONE"})):
        assert (await answer(NothingToCancel(), "那我不退了", focus=focus)).responses == ["utter_nothing_to_cancel"]


async def test_what_is_to_be_cancelled_is_asked_where_nothing_is_open(answers: Graph) -> None:
    told = await answer(NothingToCancel(), "取消", "stop")
    assert told.responses == ["utter_cancel_what"]
    assert told.payloads == ["/cancel_order", "/cancel_ticket"]
    ended = {"turn": 2, "stack": [], "ended": {"flow": "after_sales", "turn": 1}}
    again = await answer(NothingToCancel(), "取消", "stop", dialogue=ended)
    assert again.responses == ["utter_nothing_to_cancel"]


async def test_the_words_of_a_button_with_nothing_to_confirm(answers: Graph) -> None:
    assert (await answer(SummaryGone(), "确认提交", "affirm")).responses == ["utter_nothing_to_confirm"]


async def test_stopping_with_nothing_open(answers: Graph, ticket: str) -> None:
    assert (await answer(NothingToCancel(), "算了")).responses == ["utter_nothing_to_cancel"]
    written = at_hand(written={"flow": "after_sales", "id": ticket})
    told = await answer(NothingToCancel(), "算了", focus=written)
    assert told.responses == ["utter_ticket_stands"] and ticket in told.text
    assert (await answer(NothingToCancel(), "算了", turn=12, focus=written)).responses == ["utter_nothing_to_cancel"]
    cancelled = at_hand(written={"flow": "cancel_order", "id": None, "order": "ORD10006"})
    told = await answer(NothingToCancel(), "算了", focus=cancelled)
    assert told.responses == ["utter_order_stays_cancelled"] and "ORD10006" in told.text


async def test_a_stop_takes_one_out_of_the_queue(answers: Graph) -> None:
    await (await malls.get_desk()).request("api:queue", HandoffReason.ASKED, "queue")
    told = await answer(NothingToCancel(), "不等了", sender="api:queue")
    assert told.responses == ["utter_handoff_withdrawn"]
    told = await answer(NothingToCancel(), "不等了", sender="api:queue")
    assert told.responses == ["utter_nothing_to_cancel"]


# --- words -----------------------------------------------------------------------------------------------------------

OFTEN = (
    *("acknowledge", "thank", "goodbye", "leave", "deny", "greet", "take_your_time", "chitchat", "out_of_scope"),
    *("complain", "thank_unsent", "goodbye_unsent", "leave_unsent", "kept", "cancelled", "nothing_to_cancel"),
)


@pytest.mark.parametrize("name", OFTEN)
def test_what_is_said_often_has_many_words_and_asks_nothing(name: str) -> None:
    variants = DOMAIN["responses"][f"utter_{name}"]
    chinese = [one["text"] for one in variants if "condition" not in one]
    assert len(set(chinese)) == len(chinese) >= 6
    assert len(variants) - len(chinese) >= 2
    assert not [one for one in variants if set("?？吗") & set(one["text"])]
    with_buttons = [one["text"] for one in chinese_variants(name) if one.get("buttons")]
    assert len(with_buttons) <= {"greet": 1, "out_of_scope": 3}.get(name, 0)


def chinese_variants(name: str) -> list[dict[str, Any]]:
    return [one for one in DOMAIN["responses"][f"utter_{name}"] if "condition" not in one]


def test_an_offer_is_a_question_and_begins_something() -> None:
    offers = [
        (name, variant)
        for name, variants in DOMAIN["responses"].items()
        for variant in variants
        if (variant.get("metadata") or {}).get("offers", "choice") != "choice"
        and not name.startswith("utter_ask_")
        # who is shown goods need not be asked whether they want one
        and not {"{products}", "{product}"} & set(re.findall(r"\{\w+\}", variant["text"]))
    ]
    assert offers
    for name, variant in offers:
        assert set("?？") & set(variant["text"]), (name, variant["text"])
