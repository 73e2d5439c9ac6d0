"""Conversations with the flows alone: what is said, what is understood, which actions follow.

A line is ``(words, intent, confidence, entities, actions)``; ``found`` is what the mall says to each action.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.components.dialogue.commands import understand
from bot.components.dialogue.stack import LISTEN, MOST_ACTIONS, decide, hear
from bot.components.dialogue.state import Message, Shown, State
from tests.bot.components.talk import ACTIONS, Talk, message, real_flows

RETURN = "validate_after_sales"
RULE = "action_answer_from_graph"
CONFIRM = "action_ask_confirm_ticket"
INVOICE, ADDRESS = "validate_request_invoice", "validate_change_address"
ABOUT = "action_about_request"
KNOWN = {RETURN: {"order_id": "ORD1234567890", "proved": True}}

REFUSED = {
    RETURN: {**KNOWN[RETURN], "refusal": {"name": "not_allowed"}},
    "action_refuse_after_sales": {
        "focus": {
            "refused": {
                "flow": "after_sales",
                "order_id": "ORD1234567890",
                "order_line": "L1",
                "ticket_kind": "return",
                "reason": "dislike",
                "goods": "云跑 跑步鞋",
                "rule": "no_reason_too_late",
                "turn": 1,
            }
        }
    },
}

COMPLAIN = ("action_complain", "action_offer_compensation")
TALKS: dict[str, tuple[dict[str, Any], list[tuple[str, str, float, dict[str, Any], list[str]]]]] = {
    "the seed": (
        {},
        [
            ("我想退货", "request_return", 0.9, {}, [RETURN, "action_ask_order_id"]),
            ("ORD123456789012", "inform", 0.9, {}, [RETURN, "action_ask_phone_tail"]),
        ],
    ),
    "billing details in pieces begin an invoice, and are none of an address": (
        {},
        [
            ("注册地址：姑苏区人民路88号", "change_address", 0.98, {}, [INVOICE, "action_ask_order_id"]),
            ("开户行：农行城东支行", "out_of_scope", 0.6, {}, ["utter_take_your_time"]),
            ("税号:91350100M000100Y43", "inform", 0.9, {}, [INVOICE, "action_remind"]),
        ],
    ),
    "they are no invoice in the middle of an address": (
        {},
        [
            ("我要改地址", "change_address", 0.9, {}, [ADDRESS, "action_ask_order_id"]),
            ("地址、电话:姑苏区人民路88号", "change_address", 0.9, {}, [ADDRESS, "action_remind"]),
        ],
    ),
    "a request that was made already is not made again": (
        {},
        [("我已经申请换货了", "request_exchange", 0.9, {}, ["action_ticket_status"])],
    ),
    "how far it is, whatever the words look like": (
        {},
        [("有进展了吗", "ask_product", 0.5, {}, ["action_ticket_status"])],
    ),
    "a value is heard, and its haste is no wish of its own": (
        {RETURN: {"order_id": "ORD1234567890"}},
        [
            ("我想退货", "request_return", 0.9, {}, [RETURN, "action_ask_phone_tail"]),
            ("5678 快点", "urge_shipment", 0.8, {}, [RETURN, "action_ask_reason"]),
        ],
    ),
    "a value and a question: both": (
        {RETURN: {"order_id": "ORD1234567890", "proved": True}},
        [
            ("我想退货", "request_return", 0.9, {}, [RETURN, "action_ask_reason"]),
            ("质量差，运费谁出", "ask_policy", 0.9, {"reason": "quality"}, [RULE, RETURN, CONFIRM]),
        ],
    ),
    "the reason in one's own words, with feeling": (
        KNOWN,
        [
            ("我想退货", "request_return", 0.9, {}, [RETURN, "action_ask_reason"]),
            ("穿一次就磨脚后跟，气死我了", "complain", 0.9, {}, [*COMPLAIN, RETURN, CONFIRM]),
        ],
    ),
    "anger while a list is shown: heard, and the list is not put again": (
        {},
        [
            ("我想退货", "request_return", 0.9, {}, [RETURN, "action_ask_order_id"]),
            ("什么破店", "complain", 0.6, {}, [*COMPLAIN, "action_remind"]),
            ("垃圾", "complain", 0.9, {}, [*COMPLAIN]),
        ],
    ),
    "what is named is heard in place of an intent that tells the facts": (
        {},
        [
            ("面霜用了起红疹", "report_problem", 0.9, {"complaint": "harmed"}, [*COMPLAIN]),
            ("显示签收我没拿到", "track_parcel", 0.9, {"complaint": "not_received"}, [*COMPLAIN]),
            ("发了十条没人理", "nlu_fallback", 0.4, {"complaint": "unanswered"}, [*COMPLAIN]),
            ("骑手凶得很", "ask_policy", 0.9, {"complaint": "courier"}, [*COMPLAIN]),
        ],
    ),
    "a fallen price is a matter of its own, whatever it sounds like": (
        {},
        [
            ("昨天买的今天就便宜了六十", "complain", 0.9, {"matter": "price_drop"}, [RULE]),
            ("申请价保", "request_refund", 0.9, {"matter": "price_drop"}, [RULE]),
            ("有活动吗 还会便宜了不", "ask_promotion", 0.9, {"matter": "price_drop"}, [RULE]),
            ("降价了 转人工", "human_handoff", 0.9, {"matter": "price_drop"}, ["action_handoff"]),
        ],
    ),
    "what is to be changed on a card stands there by its very words": (
        {},
        [
            ("头像换一个", "request_exchange", 0.9, {"card": "portrait"}, ["action_my_card"]),
            ("主推换成那款面霜", "recommend_product", 0.8, {"card": "products"}, ["action_my_card"]),
            ("名片头衔在哪改", "ask_policy", 0.9, {"card": "title"}, [RULE]),
            ("转发名片", "share_card", 0.95, {}, ["action_share_card"]),
        ],
    ),
    "what does more harm than good when it is guessed needs more than a guess": (
        {},
        [
            ("几点呢", "out_of_scope", 0.7, {}, ["action_not_understood"]),
            ("写首诗", "out_of_scope", 0.9, {}, ["action_out_of_scope"]),
            ("那电话是客户的", "sales_report", 0.8, {}, ["action_not_understood"]),
            ("我的销售报表", "sales_report", 0.95, {}, ["action_not_here_yet"]),
        ],
    ),
    "whoever presses hears what comes next, and a question that is open once more": (
        {},
        [
            ("然后呢", "ask_help", 0.8, {}, ["action_say_next"]),
            ("给个准话", "out_of_scope", 0.6, {}, ["action_say_next"]),
            ("你别跟我说再等等", "stop", 0.92, {}, ["action_say_next"]),
            ("我想退货", "request_return", 0.9, {}, [RETURN, "action_ask_order_id"]),
            ("所以呢", "chitchat", 0.8, {}, [RETURN, "action_ask_order_id"]),
        ],
    ),
    "what is pressed about is told where it is named": (
        {},
        [("那鞋子的运费呢 给个准话", "ask_policy", 0.9, {"goods_kind": "鞋"}, [RULE])],
    ),
    "more of the matter is told where a way is to be picked": (
        {RETURN: {**KNOWN[RETURN], "reason": "quality"}},
        [
            ("鞋子开胶了", "report_problem", 0.9, {}, [RETURN, "utter_ask_ticket_kind"]),
            ("整个鞋底都是", "inform", 0.6, {}, ["action_not_understood"]),
            ("咋办", "ask_help", 0.9, {}, [RETURN, "utter_ask_ticket_kind_again"]),
        ],
    ),
    "what was shown is wanted": (
        {},
        [
            ("行 要了", "affirm", 0.8, {}, ["action_product_info"]),
            ("不要了", "deny", 0.8, {}, ["action_not_understood"]),
        ],
    ),
    "a reproach is no wish, and no answer": (
        {},
        [
            ("你没看懂我说的", "complain", 0.9, {}, ["action_read_anew"]),
            ("我想退货", "request_return", 0.9, {}, [RETURN, "action_ask_order_id"]),
            ("答非所问", "complain", 0.6, {}, ["action_read_anew"]),
        ],
    ),
    "what has come right is the end of it": (
        {},
        [
            ("钱已经到账了 谢谢", "ticket_status", 0.9, {}, ["utter_glad"]),
            ("快递员联系我了", "track_parcel", 0.6, {}, ["utter_glad"]),
            ("货收到了，有划痕", "report_problem", 0.9, {"reason": "quality"}, [RETURN, "action_ask_order_id"]),
        ],
    ),
    "the button's words to what shall be changed bring the summary back": (
        {RETURN: {**KNOWN[RETURN], "reason": "dislike"}},
        [
            ("我想退货", "request_return", 0.9, {}, [RETURN, CONFIRM]),
            ("不对", "deny", 0.9, {}, [RETURN, "action_ask_change"]),
            ("确认提交", "affirm", 0.9, {}, [CONFIRM]),
        ],
    ),
    "another kind at the summary, with whatever it denies": (
        {RETURN: {**KNOWN[RETURN], "reason": "quality"}},
        [
            ("换一个", "request_exchange", 0.9, {}, [RETURN, CONFIRM]),
            ("我要退款 不寄回", "request_refund", 0.85, {}, [RETURN, CONFIRM]),
            ("换货要寄回去吗", "request_exchange", 0.7, {}, ["action_about_request", CONFIRM]),
        ],
    ),
    "a weak guess that a word agrees with is a wish": (
        {},
        [("退款 裙子开线了", "request_refund", 0.48, {"ticket_kind": "refund"}, [RETURN, "action_ask_order_id"])],
    ),
    "and none where something is asked": (
        {},
        [("退款快吗", "request_refund", 0.48, {"ticket_kind": "refund"}, ["action_not_understood"])],
    ),
    "another kind at the summary, denied and objected as it may be": (
        {RETURN: {**KNOWN[RETURN], "reason": "quality"}},
        [
            ("我要退款", "request_refund", 0.9, {}, [RETURN, CONFIRM]),
            ("先不退了 给我换一袋行不行", "request_exchange", 0.9, {"ticket_kind": "exchange"}, [RETURN, CONFIRM]),
            ("我说退钱呀 怎么又是换货", "complain", 0.6, {"ticket_kind": "refund"}, [RETURN, CONFIRM]),
            ("退款多久到", "ask_policy", 0.9, {"ticket_kind": "refund"}, [ABOUT, CONFIRM]),
            ("换货太麻烦了", "chitchat", 0.6, {"ticket_kind": "exchange"}, ["action_chitchat"]),
        ],
    ),
    "what was refused is contested: nothing begins anew": (
        REFUSED,
        [
            ("退货", "request_return", 0.9, {}, [RETURN, "action_refuse_after_sales"]),
            ("凭什么呀 我上周五才拿到的", "report_problem", 0.6, {}, ["action_contested"]),
            ("能不能破个例", "ask_policy", 0.9, {}, ["action_contested"]),
            ("我就要退货", "request_return", 0.9, {}, ["action_contested"]),
        ],
    ),
    "another reason after a refusal is looked at, with what was told": (
        REFUSED,
        [
            ("退货", "request_return", 0.9, {}, [RETURN, "action_refuse_after_sales"]),
            ("是你们发错的", "correct", 0.5, {"reason": "wrong_item"}, [RETURN, "action_refuse_after_sales"]),
        ],
    ),
    "another kind after a refusal, too": (
        REFUSED,
        [
            ("退货", "request_return", 0.9, {}, [RETURN, "action_refuse_after_sales"]),
            ("那换货行不行", "ask_policy", 0.9, {"ticket_kind": "exchange"}, [RETURN, "action_refuse_after_sales"]),
        ],
    ),
    "what has nothing to do with the refusal begins what it says": (
        REFUSED,
        [
            ("退货", "request_return", 0.9, {}, [RETURN, "action_refuse_after_sales"]),
            ("但是发票要开一下", "request_invoice", 0.9, {}, [INVOICE, "action_ask_order_id"]),
        ],
    ),
    "another order after a refusal is no objection": (
        REFUSED,
        [
            ("退货", "request_return", 0.9, {}, [RETURN, "action_refuse_after_sales"]),
            ("另外一单也要退", "request_return", 0.9, {}, [RETURN, "action_refuse_after_sales"]),
        ],
    ),
    "a request that was only guessed is not brought up again": (
        KNOWN,
        [
            ("退的运费得给我吧", "request_return", 0.6, {}, [RETURN, "action_ask_reason"]),
            ("今天好冷啊", "chitchat", 0.95, {}, ["action_chitchat"]),
            ("质量差", "inform", 0.9, {"reason": "quality"}, [RETURN, CONFIRM]),
        ],
    ),
    "half a nod, or a no to nothing, is told and no more": (
        {},
        [
            ("需要师傅来装", "affirm", 0.5, {}, ["action_not_understood"]),
            ("没成功啊", "deny", 0.6, {}, ["action_not_understood"]),
        ],
    ),
    "a question about the rules is answered, and so is a calm one": (
        {},
        [
            ("买到假货怎么赔", "ask_policy", 0.9, {"complaint": "compensation"}, [RULE]),
            ("什么时候发货", "order_status", 0.9, {}, ["action_order_status"]),
            ("退货没人处理吗", "ticket_status", 0.9, {"complaint": "unanswered"}, ["action_ticket_status"]),
        ],
    ),
    "a complaint and a wish: heard, and then the wish": (
        KNOWN,
        [
            (
                "这是假货 给我退了",
                "request_return",
                0.9,
                {"complaint": "fake"},
                [*COMPLAIN, RETURN, "action_ask_reason"],
            )
        ],
    ),
    "what is named at the reason is the reason, too": (
        KNOWN,
        [
            ("我想退货", "request_return", 0.9, {}, [RETURN, "action_ask_reason"]),
            ("吃了拉肚子", "report_problem", 0.9, {"complaint": "harmed"}, [*COMPLAIN, RETURN, CONFIRM]),
        ],
    ),
    "small talk is no reason": (
        KNOWN,
        [
            ("我想退货", "request_return", 0.9, {}, [RETURN, "action_ask_reason"]),
            ("今天好冷啊", "chitchat", 0.9, {}, ["action_chitchat", "action_remind"]),
        ],
    ),
    "another kind at the summary": (
        {RETURN: {**KNOWN[RETURN], "reason": "dislike"}},
        [
            ("我想退货", "request_return", 0.9, {}, [RETURN, CONFIRM]),
            ("还是换货吧", "request_exchange", 0.9, {}, [RETURN, CONFIRM]),
        ],
    ),
    "a question about the request at its summary: its facts, then the summary in a line": (
        {RETURN: {**KNOWN[RETURN], "reason": "dislike"}},
        [
            ("我想退货", "request_return", 0.9, {}, [RETURN, CONFIRM]),
            ("凭什么我出邮费", "complain", 0.9, {}, [ABOUT, CONFIRM]),
            ("谁上门来收啊", "track_parcel", 0.9, {}, [ABOUT]),
            ("要拍照吗？粉撒了一地", "report_problem", 0.6, {"reason": "damaged"}, [ABOUT]),
        ],
    ),
    "who wants nothing changed gets the summary back": (
        {RETURN: {**KNOWN[RETURN], "reason": "dislike"}},
        [
            ("我想退货", "request_return", 0.9, {}, [RETURN, CONFIRM]),
            ("我没要改啊", "deny", 0.9, {}, [CONFIRM]),
            ("改一下", "correct", 0.9, {}, [RETURN, "action_ask_change"]),
            ("没要改呀 运费大概几块", "ask_price", 0.9, {}, [ABOUT, CONFIRM]),
        ],
    ),
    "a stop and another matter: the one ends, the other begins, and nothing is offered again": (
        {RETURN: KNOWN[RETURN]},
        [
            ("我想退货", "request_return", 0.9, {}, [RETURN, "action_ask_reason"]),
            ("我没说要退货 我要补差价", "ask_policy", 0.9, {}, ["action_cancelled", RULE]),
            ("知道了", "affirm", 0.9, {}, ["action_acknowledge"]),
        ],
    ),
    "who supposes asks for the rule": (
        {},
        [
            ("退款的话券会还给我吗", "request_refund", 0.8, {}, [RULE]),
            ("要是不合适怎么退", "request_return", 0.95, {}, [RULE]),
            ("可以的话帮我退了好吗", "request_return", 0.95, {}, [RETURN, "action_ask_order_id"]),
        ],
    ),
    "a stop and another task": (
        {"validate_cancel_order": {"order_id": "ORD1234567890", "proved": True}},
        [
            ("取消订单", "cancel_order", 0.9, {}, ["validate_cancel_order", "action_ask_confirm_cancel_order"]),
            (
                "算了不取消了 帮我改个地址",
                "change_address",
                0.6,
                {},
                ["action_cancelled", ADDRESS, "action_ask_order_id"],
            ),
        ],
    ),
    "what was told for the order before answers, whatever it sounds like": (
        {INVOICE: {"order_id": "ORD1234567890", "proved": True}},
        [
            ("开发票", "request_invoice", 0.9, {}, [INVOICE, "action_ask_invoice_kind"]),
            ("跟刚才一样啊 还要打一遍？", "ask_policy", 0.8, {}, [INVOICE, "action_ask_confirm_invoice"]),
        ],
    ),
    "what is to be done with goods, named and not more": (
        {},
        [
            (
                "只退口红",
                "inform",
                0.9,
                {"category": "lipstick", "ticket_kind": "return"},
                [RETURN, "action_ask_order_id"],
            )
        ],
    ),
    "a weak guess beside a reason": (
        {},
        [("口红我不要了 T恤我要的", "request_return", 0.5, {"reason": "dislike"}, [RETURN, "action_ask_order_id"])],
    ),
    "shouted, too": (
        {RETURN: KNOWN[RETURN]},
        [
            ("我想退货", "request_return", 0.9, {}, [RETURN, "action_ask_reason"]),
            ("到底听没听懂？不退！！ 我要差价！！", "ask_policy", 0.6, {}, ["action_cancelled", RULE]),
        ],
    ),
    "asked what to change, a question is answered, and the summary comes back": (
        {RETURN: {**KNOWN[RETURN], "reason": "dislike"}},
        [
            ("我想退货", "request_return", 0.9, {}, [RETURN, CONFIRM]),
            ("改一下", "correct", 0.9, {}, [RETURN, "action_ask_change"]),
            ("这面霜孕妇能用不", "ask_policy", 0.9, {}, [RULE, CONFIRM]),
        ],
    ),
    "an objection changes nothing": (
        {RETURN: {**KNOWN[RETURN], "reason": "dislike"}},
        [
            ("我想退货", "request_return", 0.9, {}, [RETURN, CONFIRM]),
            ("我没说退款我说赔偿", "request_refund", 0.9, {}, [RETURN, CONFIRM]),
        ],
    ),
    "a person amid other words, and nothing is asked after it": (
        KNOWN,
        [
            ("我想退货", "request_return", 0.9, {}, [RETURN, "action_ask_reason"]),
            ("烦死了给我转人工，别问了", "complain", 0.8, {}, ["action_handoff"]),
        ],
    ),
    "what is to be done, said once more, is no stop": (
        {},
        [
            ("那不要了", "cancel_order", 0.9, {}, ["validate_cancel_order", "action_ask_order_id"]),
            ("取消吧", "stop", 0.9, {}, ["validate_cancel_order", "action_ask_order_id"]),
            ("算了", "stop", 0.9, {}, ["action_cancelled"]),
        ],
    ),
    "a yes to nothing asks nothing": ({}, [("好的", "affirm", 0.9, {}, ["action_acknowledge"])]),
    "a no to nothing asks nothing": ({}, [("不", "deny", 0.9, {}, ["utter_deny"])]),
    "a stop with nothing open": ({}, [("算了", "stop", 0.9, {}, ["action_nothing_to_cancel"])]),
    "not the order that is proposed": (
        {RETURN: {"proposal": "ORD1"}},
        [
            ("我想退货", "request_return", 0.9, {}, [RETURN, "action_ask_order_id"]),
            ("不是这单", "deny", 0.9, {}, [RETURN, "action_ask_order_id"]),
        ],
    ),
    "a question that lacks the order asks for it once it has to": (
        {"action_track_parcel": {"missing": "order_id"}},
        [
            ("我的快递到哪了", "track_parcel", 0.9, {}, ["action_track_parcel", "action_ask_order_id"]),
            ("运费谁出", "ask_policy", 0.9, {}, ["action_answer_from_graph"]),
        ],
    ),
}


@pytest.mark.parametrize("name", list(TALKS))
def test_talk(name: str) -> None:
    found, lines = TALKS[name]
    talk = Talk(found=found)
    for words, intent, confidence, entities, actions in lines:
        assert talk.say(words, intent, confidence, **entities) == actions, (words, talk.state.commands)


def test_the_seed_to_its_end() -> None:
    talk = Talk()
    talk.say("我想退货", "request_return")
    talk.say("ORD123456789012", "inform")
    talk.found[RETURN] = {"proved": True}
    assert talk.say("5678", "inform") == [RETURN, "action_ask_reason"]
    assert talk.say("颜色不喜欢", "inform", reason="dislike") == [RETURN, CONFIRM]
    assert talk.say("确认", "affirm") == ["action_create_return_ticket"]
    assert not talk.state.stack
    assert talk.slots["order_id"] is None


def _in_two(first: str, *rest: tuple[str, str]) -> Message:
    """The words of a button, and what the message goes on with."""
    said = [message(first, "affirm"), *(message(text, intent, 0.9) for text, intent in rest)]
    return replace(message(" ".join(one.text for one in said), "affirm"), parts=tuple(said))


@pytest.mark.parametrize(
    ("more", "actions"),
    [
        (("开张发票 ORD1234567891", "request_invoice"), ["action_noted", "action_create_return_ticket"]),
        (("运费谁出", "ask_policy"), [RULE, "action_create_return_ticket"]),
        (("换黑色的那款吧", "request_exchange"), None),  # of this very request: it is no plain yes
        (("先等等别提交", "stop"), None),
    ],
)
def test_the_words_of_the_button_and_another_wish(more: tuple[str, str], actions: list[str] | None) -> None:
    talk = Talk(found={RETURN: {**KNOWN[RETURN], "reason": "dislike"}})
    assert talk.say("我想退货", "request_return") == [RETURN, CONFIRM]
    did = talk.hear(_in_two("确认提交", more))
    assert did[:2] == actions if actions else "action_create_return_ticket" not in did, talk.state.commands


@pytest.mark.parametrize(("words", "write"), [("好吧", False), ("嗯嗯", False), ("确认提交", True), ("确认", True)])
def test_a_nod_below_the_offer_of_a_person_writes_nothing(words: str, write: bool) -> None:
    talk = Talk(found={RETURN: {**KNOWN[RETURN], "reason": "dislike"}})
    talk.say("我想退货", "request_return")
    assert talk.say("那能直接送过来吗", "nlu_fallback", 0.4)[-1] == CONFIRM
    talk.shown = Shown({"转人工": "/human_handoff", "确认提交": '/affirm{"summary": "x"}'}, offers="choice")
    assert ("action_create_return_ticket" in talk.say(words, "affirm", 0.99)) is write, talk.state.commands


@pytest.mark.parametrize("words", ["先别退了", "不退了", "我不想退了", "那取消吧"])
def test_a_stop_takes_back_what_was_written(words: str) -> None:
    talk = Talk()
    talk.slots["focus"] = {"written": {"flow": "after_sales", "id": "RT12345", "turn": 0}}
    talk.say(words, "stop")
    assert talk.actions[0] == "validate_cancel_ticket", talk.state.commands


def test_a_slip_of_the_finger_is_no_yes_whatever_it_is_taken_for() -> None:
    talk = Talk(found={RETURN: {**KNOWN[RETURN], "reason": "dislike"}, CONFIRM: {"summary": "abc"}})
    talk.say("我想退货", "request_return")
    assert talk.say("\u00a8y", "affirm", 0.99)[0] != "action_create_return_ticket"


def test_a_yes_takes_up_what_was_offered() -> None:
    talk = Talk(found=KNOWN)
    talk.shown = Shown(offers="/request_return")
    assert talk.say("好的", "affirm") == [RETURN, "action_ask_reason"]
    talk = Talk(found=KNOWN)
    talk.shown = Shown(offers="/human_handoff")
    assert talk.say("好的，谢谢", "thank") == ["action_handoff"]
    talk = Talk(found=KNOWN)
    talk.shown = Shown(offers="/request_return")
    assert talk.say("好的，谢谢", "thank") == ["utter_thank"]
    talk = Talk(found=KNOWN)
    talk.shown = Shown(offers="/request_return")
    assert talk.say("不了", "deny") == ["utter_deny"]


@pytest.mark.parametrize(
    ("words", "intent", "action"),
    [
        ("行吧", "affirm", "action_accept_offer"),
        ("好的，谢谢", "thank", "action_accept_offer"),
        ("券我要了", "my_coupons", "action_accept_offer"),
        ("不用", "deny", "action_decline_offer"),
        ("算了", "stop", "action_decline_offer"),
        ("不要券", "my_coupons", "action_decline_offer"),
    ],
)
def test_what_may_be_declined_is_taken_or_declined(words: str, intent: str, action: str) -> None:
    talk = Talk()
    talk.shown = Shown(offers='/accept_offer{"offer_id": "OF1"}', declines='/decline_offer{"offer_id": "OF1"}')
    assert talk.say(words, intent, 0.9) == [action]


@pytest.mark.parametrize(
    ("words", "place"), [("2", 2), ("第二个", 2), ("那就第二个吧", 2), ("最后一个", 3), ("不是第二个", None)]
)
def test_a_place_in_the_list_is_a_tap(words: str, place: int | None) -> None:
    listed = {f"{number}. 面霜": f'/track_parcel{{"order_id": "ORD{number}"}}' for number in (1, 2, 3)}
    commands = understand(message(words, "inform"), State(), {}, real_flows(), Shown({**listed, "都不是": "/deny"}))
    told = {"intent": "track_parcel", "order_id": f"ORD{place}"}
    assert any(one.value == told for one in commands) is (place is not None), commands


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("就毛衣那个", "ORD1"),
        ("加湿器", "ORD2"),
        ("加湿气那个", "ORD2"),  # as it sounds
        ("锅", "ORD3"),
        ("那个炸锅吧", "ORD3"),
        ("都要", None),
        ("跑鞋", None),
        ("加湿器不要了别的都留着", None),
    ],
)
def test_the_name_of_what_is_listed_is_a_tap(words: str, named: str | None) -> None:
    listed = {
        f"{number}. {name}": f'/track_parcel{{"order_id": "ORD{number}"}}'
        for number, name in enumerate(("毛衣", "加湿器", "空气炸锅"), 1)
    }
    commands = understand(message(words, "inform"), State(), {}, real_flows(), Shown({**listed, "都不是": "/deny"}))
    told = {"intent": "track_parcel", "order_id": f"ORD{named[3:] if named else 0}"}
    assert any(one.value == told for one in commands) is (named is not None), commands


def test_a_name_that_two_of_the_list_bear_is_no_tap() -> None:
    listed = {f"{n}. {name}": f'/track_parcel{{"order_id": "ORD{n}"}}' for n, name in ((1, "月饼"), (2, "冰皮月饼"))}
    assert Shown(listed).naming("月饼") is None
    assert Shown(listed).naming("冰皮") == '/track_parcel{"order_id": "ORD2"}'


def test_an_order_beside_those_listed_is_asked_about_as_they_are() -> None:
    listed = {f"{n}. 月饼": f'/urge_shipment{{"order_id": "ORD{n}"}}' for n in (1, 2)}
    number = message("ORD12346", "inform")
    commands = understand(number, State(), {}, real_flows(), Shown({**listed, "都不是": "/deny"}))
    assert any(one.value == {"intent": "urge_shipment", "order_id": "ORD12346"} for one in commands), commands
    several = {"退货": '/request_return{"order_id": "ORD1"}', "换货": '/request_exchange{"order_id": "ORD1"}'}
    assert Shown(several).of_order("ORD12346") is None


def test_a_number_that_is_kept_private_is_explained() -> None:
    talk = Talk()
    assert talk.say("我要退货", "request_return")[-1] == "action_ask_order_id"
    talk.say("我就不想给 隐私")
    assert talk.state.commands[0][0].startswith("Unusable order_id=private")


@pytest.mark.parametrize(
    ("buttons", "words", "taken"),
    [
        ({"个人": '/inform{"buyer": "personal"}', "公司": '/inform{"buyer": "company"}'}, "2", "company"),
        ({"个人": '/inform{"buyer": "personal"}', "公司": '/inform{"buyer": "company"}'}, "3", None),
        ({"5 星": '/inform{"stars": "5"}', "4 星": '/inform{"stars": "4"}'}, "2", None),
        ({"确认提交": '/affirm{"summary": "x"}', "改一下": "/deny"}, "1", None),
    ],
)
def test_a_digit_counts_the_buttons(buttons: dict[str, str], words: str, taken: str | None) -> None:
    payload = Shown(buttons).counted(int(words))
    assert (taken is None) == (payload is None) and (taken or "") in (payload or "")


def test_all_of_two_orders_are_taken_one_after_the_other() -> None:
    talk = Talk(found={INVOICE: {}})
    assert talk.say("开发票", "request_invoice")[-1] == "action_ask_order_id"
    talk.shown = Shown({f"{n}. 月饼": f'/inform{{"order_id": "ORD{n}"}}' for n in (1, 2)})
    talk.say("两单都开", "request_invoice")
    assert [frame.status for frame in talk.state.stack if frame.flow == "request_invoice"] == ["next", "open"]
    assert talk.slots["order_id"] == "ORD1"


def test_other_orders_that_a_validation_finds_wait_for_their_turn() -> None:
    found = {"order_id": "ORD1", "other_orders": ["ORD2", "ORD3"], "proved": True}
    talk = Talk(found={RETURN: found})
    assert talk.say("三个都退 鞋 包 帽子", "request_exchange")[:2] == [RETURN, "action_noted"]
    waiting = [frame for frame in talk.state.stack if frame.status == "next"]
    assert [(frame.values["order_id"], frame.values["ticket_kind"]) for frame in waiting] == [
        ("ORD3", "exchange"),
        ("ORD2", "exchange"),
    ]
    assert len({frame.key for frame in talk.state.stack}) == 3
    assert talk.slots["other_orders"] is None
    assert talk.slots["order_id"] == "ORD1"


def test_a_size_below_the_button_for_an_exchange_takes_it() -> None:
    talk = Talk()
    talk.shown = Shown({"退货": '/request_return{"order_id": "ORD1"}', "换货": '/request_exchange{"order_id": "ORD1"}'})
    talk.say("换43的行吗", "ask_policy", ticket_kind="exchange")
    assert (talk.open, talk.slots["order_id"], talk.slots["ticket_kind"]) == ("after_sales", "ORD1", "exchange")
    other = Talk()
    other.shown = talk.shown
    other.say("换货运费谁出", "ask_policy", ticket_kind="exchange")
    assert other.open != "after_sales"


def test_another_kind_is_preferred_before_anything_is_summed_up() -> None:
    talk = Talk()
    talk.say("我要换货", "request_exchange")
    talk.say("不了 还是退", "deny", ticket_kind="return")
    assert talk.slots["ticket_kind"] == "return"
    assert talk.state.open
    assert talk.state.open.intent == "request_return"


def test_a_whole_phone_begins_the_binding_that_was_lacking() -> None:
    talk = Talk(found={"action_inform": {"phone_told": True}})
    talk.say("我要退货", "request_return")
    for _ in range(3):
        talk.say("不知道单号")
    talk.say("行吧 15400005678", "inform")
    assert talk.open == "bind_account"
    assert [frame.status for frame in talk.state.stack] == ["next", "open"]


def test_a_buttons_words_with_nothing_summed_up_say_so() -> None:
    assert Talk().say("确认提交", "affirm", 0.9) == ["action_summary_gone"]
    assert Talk().say("确认", "affirm", 0.9) == ["action_acknowledge"]


def test_what_is_flung_back_is_no_reason() -> None:
    talk = Talk(found=KNOWN)
    talk.say("我想退货", "request_return")
    assert "action_ask_confirm_ticket" not in talk.say("我说的是差价！！听不懂吗", "chitchat", 0.5)


def test_a_yes_to_two_ways_asks_which() -> None:
    talk = Talk()
    talk.shown = Shown({"申请退款": "/request_refund", "转人工": "/human_handoff"}, offers="choice")
    assert talk.say("好的", "affirm") == ["action_ask_which"]
    talk.shown = Shown({"申请退款": "/request_refund"}, offers="choice")
    assert talk.say("知道了", "affirm") == ["action_acknowledge"]
    assert talk.say("申请退款", "request_refund")[0] == RETURN


def test_the_second_order_is_noted_and_comes_next() -> None:
    talk = Talk(found={RETURN: {"proved": True}})
    assert talk.say("ORD123456789012和ORD123456789013都退", "request_return")[0] == "action_noted"
    talk.say("不喜欢", "inform", reason="dislike")
    assert talk.say("确认", "affirm")[:2] == ["action_create_return_ticket", "action_begin_next"]
    assert talk.slots["order_id"] == "ORD123456789013"
    assert talk.state.open
    assert talk.state.open.asked == "reason"


@pytest.mark.parametrize(
    ("intent", "feeling", "soothed"),
    [
        ("track_parcel", "anger", True),
        ("order_status", "anger", True),
        ("ticket_status", "anger", True),
        ("track_parcel", "worry", False),
        ("track_parcel", "neutral", False),
        ("complain", "anger", False),  # hears it in its own way
        ("ask_policy", "anger", False),
    ],
)
def test_an_angry_customer_hears_kind_words_before_the_facts(intent: str, feeling: str, soothed: bool) -> None:
    ran = Talk().hear(replace(message("东西呢", intent), feeling=feeling))
    assert (ran[0] == "action_hear_anger") is soothed
    assert len(ran) > 1 or not soothed


def test_two_questions_of_one_message_are_answered_in_their_order() -> None:
    talk = Talk()
    first, second = message("退货运费谁出", "ask_policy"), message("我那个快递到哪了", "track_parcel")
    both = replace(message("退货运费谁出 另外我那个快递到哪了", "ask_policy"), parts=(first, second))
    talk.state, changes = hear(talk.state, both, talk.slots, talk.flows, Shown())
    assert talk._answer(changes) == ["action_answer_from_graph", "action_track_parcel", "action_offer_compensation"]


def test_a_wish_and_a_question_of_one_message() -> None:
    talk = Talk(found=KNOWN)
    first, second = message("我要退货", "request_return"), message("运费谁出", "ask_policy")
    both = replace(message("我要退货，运费谁出", "request_return"), parts=(first, second))
    talk.state, changes = hear(talk.state, both, talk.slots, talk.flows, Shown())
    assert talk._answer(changes) == ["action_answer_from_graph", RETURN, "action_ask_reason"]


def test_two_wishes_of_one_message() -> None:
    talk = Talk(found={**KNOWN, "validate_request_invoice": {"order_id": "ORD1", "proved": True}})
    first, second = message("我要退货", "request_return"), message("帮我开个发票", "request_invoice")
    both = replace(message("我要退货，另外帮我开个发票", "request_return"), parts=(first, second))
    talk.state, changes = hear(talk.state, both, talk.slots, talk.flows, Shown())
    assert talk._answer(changes) == ["action_noted", RETURN, "action_ask_reason"]
    talk.say("不喜欢", "inform", reason="dislike")
    talk.say("确认", "affirm")
    assert talk.actions[1] == "action_begin_next"
    assert talk.open == "request_invoice"


def test_a_turn_never_runs_into_rasas_limit() -> None:
    state, flows = State(), real_flows()
    state.say = ["action_noted"] * 20
    assert decide(state, {}, flows, ["action_noted"] * MOST_ACTIONS, ACTIONS) == LISTEN


def test_a_turn_always_says_something() -> None:
    assert decide(State(), {}, real_flows(), ["validate_after_sales"], ACTIONS) == "utter_acknowledge"


GONE = {"flow": "gone", "intent": "x", "key": "k", "began": 1}


@pytest.mark.parametrize("stored", [None, {}, {"turn": 3}, {"stack": [GONE]}])
def test_a_state_of_another_version_is_read(stored: dict[str, Any] | None) -> None:
    said = Message("你好", "greet", 0.9)
    state, _ = hear(State.load(stored), said, {}, real_flows(), Shown())
    assert decide(state, {}, real_flows(), [], ACTIONS) == "action_greet"


@pytest.mark.parametrize(
    ("topic", "kind"),
    [
        (None, "SetSlot"),  # "给孩子买的": it may be one of the list
        ("delivery", "CannotHandle"),  # "跟师傅讲一声": no try to choose
    ],
)
def test_what_has_a_subject_of_its_own_is_no_choice(topic: str | None, kind: str) -> None:
    talk = Talk()
    talk.say("开发票", "request_invoice")
    said = replace(message("跟师傅讲一声", "nlu_fallback", 0.4), topic=topic)
    assert understand(said, talk.state, talk.slots, talk.flows, talk.shown)[0].kind == kind


@pytest.mark.parametrize(
    ("words", "waits"),
    [("算了 我先走了", True), ("别退货了 给张券行不", True), ("不等了", False), ("算了 不排了", False)],
)
def test_who_waits_for_a_person_waits_on_unless_it_is_taken_back(words: str, waits: bool) -> None:
    talk = Talk()
    talk.slots["queued"] = True
    talk.say(words, "stop")
    assert ("action_nothing_to_cancel" not in talk.actions) is waits, talk.state.commands


def test_the_order_told_for_the_first_wish_of_a_message_is_the_second_ones_too() -> None:
    talk = Talk(found={"action_order_status": {"missing": "order_id"}})
    wishes = (message("买重了 取消", "cancel_order"), message("还没发吧", "order_status"))
    asked = talk.hear(replace(message("买重了 取消 还没发吧", "cancel_order"), parts=wishes))
    assert asked == ["action_order_status", "action_ask_order_id"]
    talk.found |= {"action_order_status": {"missing": None}, "validate_cancel_order": {"proved": True}}
    said = talk.say("ORD1234567890 5678", "inform")
    assert said == ["action_order_status", "validate_cancel_order", "action_ask_confirm_cancel_order"]


def test_a_stop_beside_the_number_that_was_asked_for_is_of_what_waits_beneath() -> None:
    talk = Talk()
    talk.say("绑定会员", "bind_account")
    talk.say("先开发票", "request_invoice")
    assert talk.say("不绑了 ORD1234567890 5678", "stop")[0] == INVOICE, talk.state.commands
    assert [frame.flow for frame in talk.state.stack] == ["request_invoice"]
    alone = Talk()
    alone.say("我想退货", "request_return")
    assert alone.say("ORD1234567890 不退了", "stop") == ["action_cancelled"], alone.state.commands


def test_a_number_told_since_the_summary_makes_it_be_shown_again() -> None:
    talk = Talk(found={"validate_bind_account": {"account_phone": "13800001111", "account_order": "ORD1234567890"}})
    assert talk.say("绑定会员", "bind_account")[-1] == "action_ask_confirm_account", talk.actions
    talk.say("你们几点下班", "ask_policy")
    talk.say("能量还有多少", "energy_balance")
    talk.say("ORD1234567891", "inform")
    assert talk.say("确认提交", "affirm") != ["action_bind_account"], talk.state.commands


@pytest.mark.parametrize("word", ["退订", "TD", "T", "stop"])
def test_one_word_stops_what_is_open_and_else_the_offers(word: str) -> None:
    talk = Talk()
    assert talk.say(word, "nlu_fallback", 0.4) == ["action_unsubscribe"], talk.state.commands
    talk.say("我想退货", "request_return")
    assert talk.say(word, "stop") == ["action_cancelled"], talk.state.commands
    assert talk.say(word, "stop") == ["action_unsubscribe"], talk.state.commands


def test_what_is_wrong_in_a_supposed_case_changes_no_summary() -> None:
    found = {"order_id": "ORD1234567890", "proved": True, "ticket_kind": "return", "reason": "dislike"}
    talk = Talk(found={"validate_after_sales": found})
    assert talk.say("我想退货 ORD1234567890 5678", "request_return")[-1] == "action_ask_confirm_ticket", talk.actions
    said = talk.say("那我要是穿着磨脚能退不", "ask_policy", 0.48, reason="wrong_size")
    assert said[0] == "action_answer_from_graph", talk.state.commands
    assert talk.slots["reason"] == "dislike"


def test_another_place_to_talk_is_told_of_and_begins_no_other_flow() -> None:
    talk = Talk(found={"action_other_channels": {"bound": True}, "action_link_account": {"bound": True}})
    said = talk.say("换到微信聊行不", "ask_policy", 0.81, channel="to_wechat")
    assert said == ["action_other_channels", "action_link_account"], talk.state.commands


def test_a_person_is_called_beside_the_question_whether_one_is_there() -> None:
    assert Talk().say("你是机器人吧 叫个活人来", "bot_challenge", 0.99) == ["action_handoff"]
    assert Talk().say("你是真人吗", "bot_challenge", 0.99) == ["utter_bot_challenge"]


def test_a_kind_that_was_offered_is_chosen_by_its_word() -> None:
    talk = Talk()
    talk.shown = Shown({"退款": "/request_refund", "换货": "/request_exchange"})
    assert "validate_after_sales" in talk.say("那就补发", "inform", 0.6, ticket_kind="exchange"), talk.state.commands
    assert talk.slots["ticket_kind"] == "exchange"


def test_a_stop_and_a_wish_behind_it_both_count() -> None:
    talk = Talk()
    talk.say("我想退货", "request_return")
    wish = message("有没有大一码的", "ask_stock", 0.8)
    said = talk.hear(replace(message("那先不退了 有没有大一码的", "ask_stock", 0.8), parts=(wish,)))
    assert said == ["action_cancelled", "action_product_info"], talk.state.commands
    alone = Talk().hear(replace(message("不退了 有没有大一码的", "ask_stock", 0.8), parts=(wish,)))
    assert alone == ["action_product_info"]
