"""One answer in what channels can show, row by row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from connectors.messages import BotMessage
from connectors.rendering import Bubble, Capabilities, Choice, render, split
from connectors.words import WORDS

from .paper import PLAIN

RICH = replace(
    PLAIN, text_most=4096, text_unit="characters", buttons=8, button_title_most=40, pictures=True, cards=True
)
"""As Telegram."""

BARE = replace(PLAIN, pictures=False)
TABLES = replace(PLAIN, tables=True)
ONE = replace(PLAIN, bubbles_most=1)

NUMBERED, TITLED = WORDS.choices.numbered, WORDS.choices.titled
DRAWN = "0123456789abcdef" * 2 + ".png"
TABLE = {"columns": ["", "A", "B"], "rows": [["重量", "1 kg", "2 kg"]]}


def buttons(*titles: str) -> list[dict[str, str]]:
    return [{"title": title, "payload": f"/{number}"} for number, title in enumerate(titles, 1)]


def choices(*titles: str, first: int = 1) -> list[Choice]:
    return [Choice(title, f"key-{number}") for number, title in enumerate(titles, first)]


ASKED = {"text": "要办哪一种？", "buttons": buttons("退货", "换货")}
CARDS = {
    "text": "有这些：\n1. 电水壶 A，99 元\n2. 电水壶 B，129 元",
    "buttons": buttons("电水壶 A", "电水壶 B"),
    "custom": {
        "cards": [
            {
                "title": "1. 电水壶 A",
                "text": "99 元",
                "image": "https://mall/a.jpg",
                "button": {"title": "看看", "payload": "/1"},
            },
            {"title": "2. 电水壶 B", "text": "129 元", "button": {"title": "看看", "payload": "/2"}},
        ]
    },
}

ROWS: dict[str, tuple[list[dict[str, Any]], Capabilities, list[Bubble]]] = {
    "text": ([{"text": "您好"}], PLAIN, [Bubble("您好")]),
    "nothing": ([], PLAIN, []),
    "several": ([{"text": "一"}, {"text": "二"}], PLAIN, [Bubble("一"), Bubble("二")]),
    "several for a channel that counts": ([{"text": "一"}, {"text": "二"}], ONE, [Bubble("一\n\n二")]),
    "buttons": ([ASKED], RICH, [Bubble("要办哪一种？", choices("退货", "换货"))]),
    "no buttons": ([ASKED], PLAIN, [Bubble(f"要办哪一种？\n1. 退货\n2. 换货\n{NUMBERED}")]),
    "too many buttons": (
        [ASKED],
        replace(RICH, buttons=1),
        [Bubble(f"要办哪一种？\n1. 退货\n2. 换货\n{NUMBERED}")],
    ),
    "a title that is too long": (
        [ASKED],
        replace(RICH, button_title_most=1),
        [Bubble(f"要办哪一种？\n1. 退货\n2. 换货\n{NUMBERED}")],
    ),
    "buttons of two messages are numbered through": (
        [ASKED, {"text": "或者：", "buttons": buttons("找人工")}],
        PLAIN,
        [Bubble("要办哪一种？\n1. 退货\n2. 换货"), Bubble(f"或者：\n3. 找人工\n{NUMBERED}")],
    ),
    "tokens of two messages differ": (
        [ASKED, {"text": "或者：", "buttons": buttons("找人工")}],
        RICH,
        [Bubble("要办哪一种？", choices("退货", "换货")), Bubble("或者：", choices("找人工", first=3))],
    ),
    "titles that say their number": (
        [{"text": "哪一单？", "buttons": buttons("2. 水壶", "3. 风扇")}],
        PLAIN,
        [Bubble(f"哪一单？\n2. 水壶\n3. 风扇\n{NUMBERED}")],
    ),
    "titles that count": (
        [{"text": "退几件？", "buttons": buttons("1件", "2件", "全部")}],
        PLAIN,
        [Bubble(f"退几件？\n· 1件\n· 2件\n· 全部\n{TITLED}")],
    ),
    "a list that the text has": (
        [{"text": "有这些：\n1. 电水壶 A，99 元\n2. 风扇，59 元", "buttons": buttons("电水壶 A", "风扇")}],
        PLAIN,
        [Bubble(f"有这些：\n1. 电水壶 A，99 元\n2. 风扇，59 元\n{NUMBERED}")],
    ),
    "steps are no list of choices": (
        [{"text": "这样做：\n1. 断电\n2. 倒水", "buttons": buttons("有用", "没用")}],
        PLAIN,
        [Bubble(f"这样做：\n1. 断电\n2. 倒水\n1. 有用\n2. 没用\n{NUMBERED}")],
    ),
    "only buttons": ([{"buttons": buttons("退货")}], PLAIN, [Bubble(f"1. 退货\n{NUMBERED}")]),
    "a picture": ([{"image": "https://mall/a.jpg"}], PLAIN, [Bubble(picture="https://mall/a.jpg")]),
    "text and a picture": (
        [{"text": "看", "image": "https://mall/a.jpg"}],
        PLAIN,
        [Bubble("看"), Bubble(picture="https://mall/a.jpg")],
    ),
    "text and a picture in one": (
        [{"text": "看", "image": "https://mall/a.jpg", "buttons": buttons("买")}],
        RICH,
        [Bubble("看", choices("买"), "https://mall/a.jpg")],
    ),
    "no pictures": ([{"text": "看", "image": "https://mall/a.jpg"}], BARE, [Bubble("看\nhttps://mall/a.jpg")]),
    "a table is a picture": (
        [{"text": "比一比", "custom": {"table": TABLE, "picture": DRAWN}}],
        PLAIN,
        [Bubble("比一比"), Bubble(picture=DRAWN)],
    ),
    "a table that nobody has drawn": (
        [{"text": "比一比", "custom": {"table": TABLE}}],
        PLAIN,
        [Bubble("比一比\nA / B\n重量：1 kg / 2 kg")],
    ),
    "a table where there are no pictures": (
        [{"text": "比一比", "custom": {"table": TABLE, "picture": DRAWN}}],
        BARE,
        [Bubble("比一比\nA / B\n重量：1 kg / 2 kg")],
    ),
    "a table where there are tables": (
        [{"text": "比一比", "custom": {"table": TABLE, "picture": DRAWN}}],
        TABLES,
        [Bubble("比一比\nA / B\n重量：1 kg / 2 kg")],
    ),
    "a picture with another name": (
        [{"text": "比", "custom": {"picture": "../keyring.json"}}],
        PLAIN,
        [Bubble("比")],
    ),
    "cards": (
        [CARDS],
        PLAIN,
        [Bubble(f"{CARDS['text']}\n{NUMBERED}"), Bubble("1. 电水壶 A", picture="https://mall/a.jpg")],
    ),
    "cards that lead elsewhere": (
        [{"custom": {"cards": [{"title": "水壶", "text": "99 元", "button": {"title": "看看", "payload": "/k"}}]}}],
        RICH,
        [Bubble("水壶\n99 元", choices("水壶"))],
    ),
    "a person": (
        [{"text": "我来看看", "custom": {"by": "operator"}}],
        PLAIN,
        [Bubble("人工客服：我来看看")],
    ),
    "buttons stay below the end of a long text": (
        [{"text": "一二三。四五六。", "buttons": buttons("好")}],
        replace(RICH, text_most=5),
        [Bubble("一二三。"), Bubble("四五六。", choices("好"))],
    ),
    "what does not fit in one is not left out": (
        [{"text": "一二三。"}, {"text": "四五六。"}],
        replace(ONE, text_most=14),
        [Bubble("一二三。"), Bubble("四五六。")],
    ),
}


@pytest.mark.parametrize(("messages", "can", "bubbles"), ROWS.values(), ids=ROWS.keys())
def test_an_answer_is_shown_as_the_channel_can(
    messages: list[dict[str, Any]], can: Capabilities, bubbles: list[Bubble]
) -> None:
    rendered = render([BotMessage.model_validate(each) for each in messages], can, "key")
    assert [replace(each, buttons=list(each.buttons)) for each in rendered.bubbles] == [
        replace(each, buttons=list(each.buttons)) for each in bubbles
    ]


def test_numbers_and_tokens_mean_what_is_shown() -> None:
    told = [BotMessage.model_validate(each) for each in (ASKED, {"text": "或者：", "buttons": buttons("找人工")})]
    rendered = render(told, PLAIN)
    assert (rendered.payloads, rendered.places) == (["/1", "/2", "/1"], {1: "/1", 2: "/2", 3: "/1"})
    own = render([BotMessage.model_validate({"text": "", "buttons": buttons("2. 壶", "3. 扇")})], PLAIN)
    assert own.places == {2: "/1", 3: "/2"}
    counting = render([BotMessage.model_validate({"text": "", "buttons": buttons("1件", "2件")})], PLAIN)
    assert counting.places == {}
    assert render(told, RICH).places == {}


FAMILY, FLAG = "👨\u200d👩\u200d👧", "🇨🇳"
ADDRESS = "https://mall.example/a?b=1,2&c=3"

CUTS: dict[str, tuple[str, int, str, list[str]]] = {
    "short": ("您好", 10, "characters", ["您好"]),
    "nothing": ("", 10, "characters", []),
    "at a sentence's end": ("您好。再见", 4, "characters", ["您好。", "再见"]),
    "at a line's end before a sentence's": ("一。二\n三四五六", 6, "characters", ["一。二", "三四五六"]),
    "at a comma": ("一二三，四五六", 5, "characters", ["一二三，", "四五六"]),
    "anywhere": ("一二三四五", 2, "characters", ["一二", "三四", "五"]),
    "by bytes": ("一二三", 7, "bytes", ["一二", "三"]),
    "not in a family": (f"一{FAMILY}", 4, "characters", ["一", FAMILY[:4], FAMILY[4:]]),
    "a family that fits": (f"一二{FAMILY}", 5, "characters", ["一二", FAMILY]),
    "not in a flag": (f"一{FLAG}{FLAG}", 4, "characters", [f"一{FLAG}", FLAG]),
    "not in a tone": ("一👍🏽", 2, "characters", ["一", "👍🏽"]),
    "not before a mark": ("一e\u0301", 2, "characters", ["一", "e\u0301"]),
    "not in an address": (f"看 {ADDRESS} 好", len(ADDRESS) + 1, "characters", ["看", ADDRESS, "好"]),
    "an address that alone is too long": ("https://a.b/cdefgh", 10, "characters", ["https://a.", "b/cdefgh"]),
}


@pytest.mark.parametrize(("text", "most", "unit", "pieces"), CUTS.values(), ids=CUTS.keys())
def test_a_long_text_is_cut_where_it_hurts_least(text: str, most: int, unit: Any, pieces: list[str]) -> None:
    assert split(text, most, unit) == pieces


@pytest.mark.parametrize("most", [4, 5, 17, 2048])
def test_no_piece_is_too_long_and_nothing_is_lost(most: int) -> None:
    text = f"七天内可以退。{FAMILY}看{ADDRESS}，好吗？\n" * 40
    pieces = split(text, most, "bytes")
    assert max(len(piece.encode()) for piece in pieces) <= most
    assert "".join("".join(pieces).split()) == "".join(text.split())
