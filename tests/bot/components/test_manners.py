"""The manners of docs/conversation.md over every flow and every question that it may put, not by example.

What the mall would say is assumed (``AT``); flows, acts, values and decisions are the real ones.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot.components.dialogue.flows import CONFIRMED
from tests.bot.components.talk import Talk, Values, real_flows

FLOWS = real_flows()
TASKS = [flow for flow in FLOWS.values() if flow.kind == "task"]

ORDER = {"order_id": "ORD1234567890", "proved": True}
AT: dict[str, dict[str, Values]] = {
    "after_sales": {
        "order_id": {},
        "phone_tail": {"order_id": "ORD1234567890"},
        "order_line": {**ORDER, "several_lines": True},
        "ticket_kind": {**ORDER, "ticket_kind": None},
        "reason": ORDER,
        "quantity": {**ORDER, "reason": "damaged", "needs_quantity": True},
        "opened": {**ORDER, "reason": "dislike", "needs_opened": True},
        CONFIRMED: {**ORDER, "reason": "dislike"},
    },
    "cancel_ticket": {
        "order_id": {},
        "phone_tail": {"order_id": "ORD1234567890"},
        "ticket_id": {"tickets": [1, 2]},
        CONFIRMED: {"tickets": [1], "ticket_id": "RT12345"},
    },
    "cancel_order": {"order_id": {}, "phone_tail": {"order_id": "ORD1234567890"}, CONFIRMED: ORDER},
    "change_address": {
        "order_id": {},
        "order_phone": {"order_id": "ORD1234567890"},
        "delivery": ORDER,
        CONFIRMED: {**ORDER, "delivery": {"address": "x"}},
    },
    "request_invoice": {
        "order_id": {},
        "phone_tail": {"order_id": "ORD1234567890"},
        "invoice_kind": ORDER,
        "invoice_title": {**ORDER, "invoice_kind": "company"},
        "tax_number": {**ORDER, "invoice_kind": "company", "invoice_title": "x"},
        CONFIRMED: {**ORDER, "invoice_kind": "personal"},
    },
    "bind_account": {
        "account_phone": {},
        "account_order": {"account_phone": "13900001111"},
        CONFIRMED: {"account_phone": "13900001111", "account_order": "ORD1234567890"},
    },
    "unbind_account": {CONFIRMED: {"bound": True}},
    "redeem_energy": {CONFIRMED: {"energy_coupons": 1, "energy_price": 100}},
    "delete_my_data": {"own_phone": {}, CONFIRMED: {"own_phone": "13900001111"}},
}
"""What is known when each slot is asked for: flow → slot → the other slots."""

POINTS = [(flow, slot) for flow, slots in AT.items() for slot in slots]

CLOSING = ["谢谢", "好的，谢谢", "再见", "没事了", "不用了", "没有了", "没了 谢谢", "拜拜", "不用了谢谢"]
STOPPING = ["算了", "不办了", "先别弄了", "算了不办了"]
NO_YES = [
    *("可以吗", "确认？", "能不能退啊", "运费谁出", "不确认", "先别提交", "如果运费我出就算了"),
    *("我没说退款我说赔偿", "你冇写换43码喎，会唔会又寄返42码", "能不能取消这单啊", "好像不太对", "好的，谢谢"),
    *("等我想想", "不是这个意思", "确认之前我问下", "可以的话再说"),
    *("是不是要收手续费", "怎么又是这个", "大概可以吧", "好贵", "对不起", "啦啦啦", "👀"),
]
YES = ["确认", "确认提交", "好的", "嗯", "对", "是的", "可以", "没问题", "就这样", "ok", "行", "对的 没错", "👌"]
QUESTIONS = [("运费谁出", "ask_policy"), ("你是机器人吗", "bot_challenge"), ("空气炸锅多少钱", "ask_price")]


def test_every_flow_that_writes_is_here() -> None:
    assert set(AT) == {flow.name for flow in TASKS}
    for flow in TASKS:
        assert set(flow.asked_for) | {CONFIRMED} == set(AT[flow.name]), flow.name


def at(flow: str, slot: str) -> Talk:
    """A talk in which ``slot`` has just been asked for."""
    talk = Talk(found={f"validate_{flow}": AT[flow][slot]})
    intent = next(iter(FLOWS[flow].triggers))
    talk.say("我想办一下", intent)
    assert talk.open == flow, talk.actions
    assert talk.state.open
    assert talk.state.open.asked == slot, talk.actions
    return talk


def asks(actions: list[str]) -> list[str]:
    """The questions among the actions."""
    return [a for a in actions if a.startswith(("action_ask_", "utter_ask_")) or a in ("action_remind",)]


def writes(actions: list[str]) -> list[str]:
    return [action for action in actions if action in {flow.write.name for flow in TASKS if flow.write}]


@pytest.mark.parametrize(("flow", "slot"), POINTS)
@pytest.mark.parametrize("words", CLOSING)
def test_nothing_is_asked_after_a_close(flow: str, slot: str, words: str) -> None:
    talk = at(flow, slot)
    assert not asks(talk.say(words)), talk.state.commands
    assert not asks(talk.say("好的", "affirm"))
    assert not writes(talk.actions)


@pytest.mark.parametrize(("flow", "slot"), POINTS)
@pytest.mark.parametrize("words", STOPPING)
def test_a_stop_ends_it(flow: str, slot: str, words: str) -> None:
    talk = at(flow, slot)
    assert talk.say(words, "stop") == ["action_cancelled"]
    assert not talk.state.stack
    assert not any(talk.slots.get(name) for name in FLOWS[flow].slots)


@pytest.mark.parametrize(("flow", "slot"), POINTS)
def test_a_question_is_put_three_times_and_then_left(flow: str, slot: str) -> None:
    talk = at(flow, slot)
    talk.found[f"validate_{flow}"] = {**AT[flow][slot], slot: None}  # whatever is said, it cannot be used
    answers = [talk.say("呃呃呃", "nlu_fallback", 0.1) for _ in range(3)]
    assert [len(asks(actions)) for actions in answers] == [1, 1, 0], answers
    assert any(action.startswith("utter_leave_question") for action in answers[2])
    assert not asks(talk.say("好的", "affirm"))
    assert not any(writes(actions) for actions in answers)


@pytest.mark.parametrize(("flow", "slot"), POINTS)
@pytest.mark.parametrize(("words", "intent"), QUESTIONS)
def test_a_digression_is_answered_and_costs_two_calls_at_most(flow: str, slot: str, words: str, intent: str) -> None:
    talk = at(flow, slot)
    actions = talk.say(words, intent)
    calls = [action for action in actions if not action.startswith("utter_")]
    assert len(calls) <= 2, actions
    assert FLOWS.of_intent(intent) is not None
    assert talk.open == flow
    assert len(asks(actions)) == 1
    assert not asks(talk.say(words, intent)), "a second digression running: the customer is elsewhere"


@pytest.mark.parametrize(("flow", "slot"), POINTS)
def test_a_nod_or_a_pause_is_no_answer_and_asks_nothing(flow: str, slot: str) -> None:
    for words in ("等一下", "我找找手机"):
        talk = at(flow, slot)
        assert talk.say(words) == ["utter_take_your_time"], words
        assert talk.open == flow


@pytest.mark.parametrize("flow", list(AT))
@pytest.mark.parametrize("words", NO_YES)
def test_what_is_no_clear_yes_writes_nothing(flow: str, words: str) -> None:
    for intent, confidence in (("affirm", 0.45), ("nlu_fallback", 0.2), (next(iter(FLOWS[flow].triggers)), 0.9)):
        talk = at(flow, CONFIRMED)
        actions = talk.say(words, intent, confidence)
        assert not writes(actions), (words, intent, talk.state.commands)
        assert [action for action in actions if not action.startswith("validate_")], "no answer"


@pytest.mark.parametrize("flow", list(AT))
@pytest.mark.parametrize("words", YES)
def test_a_clear_yes_to_the_summary_writes_once(flow: str, words: str) -> None:
    talk = at(flow, CONFIRMED)
    written = writes(talk.say(words, "affirm"))
    assert len(written) == 1, talk.state.commands
    assert not writes(talk.say(words, "affirm"))


@pytest.mark.parametrize("flow", list(AT))
def test_a_yes_counts_only_while_the_summary_is_on_the_screen(flow: str) -> None:
    for away in ("再见", "等一下", "运费谁出"):
        talk = at(flow, CONFIRMED)
        talk.say(away, "ask_policy" if away == "运费谁出" else "nlu_fallback")
        if not asks(talk.actions):
            assert not writes(talk.say("确认", "affirm")), away


BUTTON = {
    "after_sales": ("确认退货", "确认换货"),
    "cancel_ticket": ("确认撤销", "确认退货"),
    "cancel_order": ("确认取消", "确认绑定"),
    "change_address": ("确认修改", "确认取消"),
    "request_invoice": ("确认开票", "确认退款"),
    "bind_account": ("确认绑定", "确认取消"),
    "unbind_account": ("确认解绑", "确认绑定"),
    "redeem_energy": ("确认兑换", "确认取消"),
    "delete_my_data": ("确认注销", "确认取消"),
}
"""Of each flow: the words for its write, and words for another one."""


@pytest.mark.parametrize("flow", list(AT))
@pytest.mark.parametrize("own", [True, False])
def test_the_words_of_the_button_write_though_side_questions_were_answered(flow: str, own: bool) -> None:
    talk = at(flow, CONFIRMED)
    for away in ("运费谁出", "要拍照吗"):
        talk.say(away, "ask_policy")
    assert not asks(talk.actions), "the summary has been pushed up"
    assert not writes(talk.say("好的", "affirm")), "a plain yes is to what stands on the screen"
    talk = at(flow, CONFIRMED)
    for away in ("运费谁出", "要拍照吗"):
        talk.say(away, "ask_policy")
    assert writes(talk.say(f"嗯嗯 {BUTTON[flow][0] if own else '确认提交'}！", "nlu_fallback", 0.3)), (
        talk.state.commands
    )


@pytest.mark.parametrize("flow", list(AT))
@pytest.mark.parametrize(
    "words", ["晚点再确认提交", "确认提交吗", "先别确认提交", "确认提交之前我问下", "点了确认提交没反应", "不确认提交"]
)
def test_the_words_of_the_button_among_others_write_nothing(flow: str, words: str) -> None:
    for intent in ("affirm", "nlu_fallback"):
        talk = at(flow, CONFIRMED)
        assert not writes(talk.say(words, intent)), (words, talk.state.commands)


@pytest.mark.parametrize("flow", list(AT))
def test_the_words_of_another_button_write_nothing(flow: str) -> None:
    talk = at(flow, CONFIRMED)
    more = {"ticket_kind": "exchange"} if flow == "after_sales" else {}
    assert not writes(talk.say(BUTTON[flow][1], "nlu_fallback", 0.3, **more)), talk.state.commands


@pytest.mark.parametrize("flow", list(AT))
def test_the_words_of_the_button_do_not_reach_a_summary_of_long_ago(flow: str) -> None:
    talk = at(flow, CONFIRMED)
    for away in ("运费谁出", "要拍照吗", "运费谁出", "要拍照吗"):
        talk.say(away, "ask_policy")
    assert not writes(talk.say("确认提交", "affirm"))
    assert writes(talk.say("确认提交", "affirm")), "it was shown again"


def _earlier() -> Iterator[tuple[str, str]]:
    return ((flow, slot) for flow, slot in POINTS if slot == CONFIRMED)


@pytest.mark.parametrize(("flow", "slot"), list(_earlier()))
def test_the_button_of_another_summary_confirms_nothing(flow: str, slot: str) -> None:
    talk = at(flow, slot)
    assert not writes(talk.tap('/affirm{"summary": "another"}'))
    assert writes(talk.tap(f'/affirm{{"summary": "{talk.slots["summary"]}"}}'))


@pytest.mark.parametrize("flow", list(AT))
@pytest.mark.parametrize("words", ["算了", "确认"])
def test_the_button_of_a_summary_that_is_over_says_so(flow: str, words: str) -> None:
    talk = at(flow, CONFIRMED)
    button = f'/affirm{{"summary": "{talk.slots["summary"]}"}}'
    talk.say(words)
    assert talk.tap(button) == ["action_summary_gone"]
    assert talk.state.ended["flow"] == flow


@pytest.mark.parametrize("flow", list(AT))
def test_the_button_of_a_summary_that_was_left_brings_it_back(flow: str) -> None:
    talk = at(flow, CONFIRMED)
    button = f'/affirm{{"summary": "{talk.slots["summary"]}"}}'
    talk.say("先这样吧")
    assert not writes(talk.tap(button))
    assert asks(talk.actions)


@pytest.mark.parametrize("flow", list(AT))
def test_what_is_known_is_not_asked(flow: str) -> None:
    talk = Talk(found={f"validate_{flow}": AT[flow][CONFIRMED]})
    talk.say("ORD1234567890 尾号5678 质量问题", next(iter(FLOWS[flow].triggers)), reason="quality")
    assert talk.state.open
    assert talk.state.open.asked == CONFIRMED, talk.actions


@pytest.mark.parametrize("one", list(AT))
@pytest.mark.parametrize("other", [name for name in AT if not FLOWS[name].serves])
def test_an_interrupted_request_is_offered_once_and_goes_on_with_its_values(one: str, other: str) -> None:
    if one == other:
        return
    talk, before = interrupted(one, other)
    assert "action_interrupt" in talk.actions
    assert writes(talk.say("确认提交", "affirm"))
    assert talk.actions[-1] == "action_ask_resume"
    assert "action_ask_resume" not in talk.say("运费谁出", "ask_policy")
    talk, before = interrupted(one, other)
    talk.say("确认提交", "affirm")
    talk.say("好的", "affirm")
    assert talk.open == one
    assert {name: talk.slots.get(name) for name in before} == before


@pytest.mark.parametrize("one", [name for name in AT if not FLOWS[name].serves])
def test_what_a_binding_interrupts_goes_on_by_itself(one: str) -> None:
    talk, before = interrupted(one, "bind_account")
    actions = talk.say("确认提交", "affirm")
    assert actions[:2] == ["action_bind_account", "action_begin_next"]
    assert talk.open == one
    assert {name: talk.slots.get(name) for name in before} == before


def interrupted(one: str, other: str) -> tuple[Talk, Values]:
    """``one`` at its summary, then ``other`` at its own; and what is known of ``one``."""
    talk = at(one, CONFIRMED)
    before = {name: talk.slots.get(name) for name in AT[one][CONFIRMED]}
    talk.found[f"validate_{other}"] = AT[other][CONFIRMED]
    talk.say("先办这个", next(iter(FLOWS[other].triggers)))
    assert talk.open == other
    return talk, before
