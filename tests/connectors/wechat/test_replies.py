"""An answer as one text, and what is sent behind it."""

from __future__ import annotations

import pytest

from connectors.rendering import Bubble, Choice
from connectors.wechat.replies import TEXT_MOST, compose

SHOP = "https://shop.example"
PICTURE = "0" * 32 + ".png"
TEXT, LONG = Bubble("您好。"), Bubble("好" * 682)
TAPS = Bubble("选哪个？", [Choice("退货", "k-1"), Choice("换货", "k-2")])
DRAWN = Bubble("", picture=PICTURE)


@pytest.mark.parametrize(
    ("bubbles", "more", "text", "rest"),
    [
        ([], True, "", []),
        ([TEXT], True, "您好。", []),
        ([TEXT, TEXT], True, "您好。\n\n您好。", []),
        ([TEXT, TAPS, TEXT], True, "您好。", [TAPS, TEXT]),
        ([DRAWN, TEXT], True, "", [DRAWN, TEXT]),
        ([TEXT, DRAWN], False, f"您好。\n\n{SHOP}/pictures/{PICTURE}", []),
        ([Bubble("看", picture="https://a/b.png")], False, "看\nhttps://a/b.png", []),
        ([Bubble("看", picture="/c/1.png", link="https://x/1")], False, f"看\n{SHOP}/c/1.png\nhttps://x/1", []),
        ([LONG, TEXT], True, LONG.text, [TEXT]),
        ([LONG, TEXT], False, LONG.text, [TEXT]),
        ([TEXT, LONG, TEXT], False, "您好。", [LONG, TEXT]),
    ],
)
def test_an_answer_is_told_in_one_text(bubbles: list[Bubble], more: bool, text: str, rest: list[Bubble]) -> None:
    assert compose(bubbles, SHOP, more=more) == (text, rest or ())


def test_what_is_longer_than_a_message_is_told_in_several() -> None:
    link = "https://shop.example/" + "a" * 200
    text, rest = compose([Bubble("一句话。" * 160 + "看这里", link=link), TEXT], SHOP, more=False)
    told = [text, *(bubble.text for bubble in rest)]
    assert all(len(each.encode()) <= TEXT_MOST for each in told) and len(told) == 3
    assert link in told[1] and told[2] == "您好。"


def test_choices_that_cannot_be_tapped_are_lines() -> None:
    text, _ = compose([TAPS], SHOP, more=False)
    assert [line for line in text.split("\n") if "货" in line] == ["· 退货", "· 换货"]
