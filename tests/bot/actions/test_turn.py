"""What the words of a message say beside their intent."""

from __future__ import annotations

import pytest
from rasa_sdk import Tracker

from bot.actions.turn import Turn


def said(text: str) -> Turn:
    return Turn(text, "nlu_fallback", 0.3, {}, {}, text, 0, "m1")


@pytest.mark.parametrize(
    "text",
    [
        *("等下", "稍等", "等会儿", "先等等", "你等会儿", "好的等我下", "等下啊，我找找手机", "等等 我看看订单号"),
        *("我去翻翻", "我找找", "我问问我妈", "等我找一下手机", "wait", "hold on a sec", "One moment, please"),
    ],
)
def test_a_pause(text: str) -> None:
    assert said(text).pauses


@pytest.mark.parametrize(
    "text",
    [
        *("等了三天了", "等不及了", "等货呢", "等一下再退吧", "算了等下次吧", "等等，退货要运费吗", "不等了"),
        *("我看看有什么活动", "我查查快递到哪了", "我看下物流", "我问问你们几点下班", "waiting for my parcel", ""),
        *("我找人工", "找客服", "找你们老板", "找不到单号", "找个便宜的", "查一下快递", "看看加湿器", "问问几天能到"),
    ],
)
def test_no_pause(text: str) -> None:
    assert not said(text).pauses


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        *((text, True) for text in ("不知道单号", "真的不知道", "找不到订单号啊", "忘了", "没有单号，在哪看")),
        *((text, True) for text in ("I don't know", "can't find it")),
        *((text, False) for text in ("不知道要不要退", "没有破损", "快递找不到了", "没拆", "没有", "没收到", "是", "")),
    ],
)
def test_lost(text: str, lost: bool) -> None:
    assert said(text).lost is lost


@pytest.mark.parametrize(
    ("text", "gives_up"),
    [("不退了", True), ("算了不办了吧", True), ("我不想换了", True), ("不退货吗", False), ("退", False)],
)
def test_giving_up(text: str, gives_up: bool) -> None:
    assert said(text).gives_up is gives_up


@pytest.mark.parametrize(
    ("places", "expected"), [([2], ["b"]), ([-1], ["c"]), ([1, 3], ["a", "c"]), ([4], []), ([0], []), ([], [])]
)
def test_pointing_at_what_was_listed(places: list[int], expected: list[str]) -> None:
    turn = Turn("", "inform", 1.0, {}, {"ordinal": places}, "", 0, "m1")
    assert turn.pointed_at(["a", "b", "c"]) == expected
    assert turn.pointed_at([]) == []


@pytest.mark.parametrize(
    ("text", "number", "words"),
    [
        ("订单 ORD12345 还能退吗", "ORD12345", "还能退吗"),
        ("ORD12345还能价保吗", "ORD12345", "还能价保吗"),
        ("我的订单号是ORD12345，能退吗", "ORD12345", "我的 ，能退吗"),
        ("can I return order ORD12345", "ORD12345", "can I return"),
        ("ORD12345", "ORD12345", ""),
        ("这个订单还能退吗", None, "这个订单还能退吗"),
        ('/ask_policy{"answer": "x"}', None, ""),
    ],
)
def test_the_words_of_a_question_without_its_numbers(text: str, number: str | None, words: str) -> None:
    start = text.find(number) if number else 0
    found = [{"entity": "order_id", "value": number, "start": start, "end": start + len(number)}] if number else []
    tracker = Tracker("a", {}, {"text": text, "entities": found}, [], False, None, {}, "action_listen")
    assert " ".join(Turn.of(tracker).words.split()) == words
