"""What whoever sells writes while they talk with a lead: theirs to hear, but for what ends it or is for the bot."""

from __future__ import annotations

import pytest

from bot.components.dialogue.commands import understand
from bot.components.dialogue.state import Message, Shown, State
from bot.components.lead_talk import GIVE_BACK, TAKE, TELL, read
from tests.bot.components.talk import Talk, real_flows


@pytest.mark.parametrize(
    ("text", "idle", "talking"),
    [
        ("我来接", TAKE, TAKE),
        ("这位客户我来跟进！", TAKE, TAKE),
        ("交回去", None, GIVE_BACK),
        ("結束", None, GIVE_BACK),
        ("不用了", None, TELL),  # said to the lead, whatever the bot would make of it
        ("我想退货", None, TELL),
        ("活动什么时候结束", None, TELL),
        ("快递到了我来接", None, TELL),
    ],
)
def test_whose_words_are_whose(text: str, idle: str | None, talking: str) -> None:
    for talks, meant in ((False, idle), (True, talking)):
        words, parse = read(text, talks)
        assert words == text
        assert parse.get("intent", {}).get("name") == meant


def test_by_its_name_the_bot_is_spoken_to() -> None:
    assert read("掌柜，我的线索", True) == ("我的线索", {})
    assert read("掌柜，我的线索", False) == ("掌柜，我的线索", {})


@pytest.mark.parametrize("text", ["不用了", "确认", "ORD12345", "转人工", "好的谢谢"])
def test_no_manner_of_the_bot_comes_between(text: str) -> None:
    """Neither a yes nor a stop nor a number means anything to the bot then."""
    _, parse = read(text, True)
    (command,) = understand(Message.of(parse), State(turn=3), {}, real_flows(), Shown())
    assert (command.kind, command.name) == ("StartFlow", "tell_lead")


def test_what_was_open_is_not_asked_for_in_between_and_goes_on_afterwards() -> None:
    talk = Talk()
    assert talk.say("我想退货", "request_return")[-1] == "action_ask_order_id"
    talks = False
    for text, action in (
        ("我来接", "action_reach_lead"),
        ("在吗", "action_tell_lead"),
        ("ORD123456789012", "action_tell_lead"),
        ("交回去", "action_give_back_lead"),
    ):
        assert talk.hear(Message.of(read(text, talks)[1])) == [action]
        talks = True
    assert "order_id" not in talk.slots or talk.slots["order_id"] is None
    assert talk.say("继续退货", "request_return")[-1] == "action_ask_order_id"
