"""One spelling for what people type, and the way back to what they typed."""

import pytest

from bot.components.text import normalize, visible


@pytest.mark.parametrize(
    ("typed", "normalized"),
    [
        ("我想退货", "我想退货"),
        ("ＯＲＤ１２３４５", "ord12345"),
        ("我想退貨，訂單號是12345", "我想退货,订单号是12345"),
        ("頭髮和發貨", "头发和发货"),
        ("  我要   退货\n\n\t谢谢  ", "我要 退货 谢谢"),
        ("我要　退货", "我要 退货"),
        ("退\u200b货\u200d\ufeff", "退货"),
        ("\u202e\u2067退货\u2069\u202c", "退货"),
        ("退货\x00\x07", "退货"),
        ("❤️😂", "❤😂"),
        ("哈哈哈哈哈哈", "哈哈"),
        ("快点！！！！", "快点!"),
        ("？？？。。。……", "?。."),
        ("😂😂😂😂", "😂"),
        ("XXXL 10000 666", "xxxl 10000 666"),
        ("尾号八八八八", "尾号八八八八"),
        ("ﬁ Ⅷ ㎏", "fi viii kg"),
        ("cafe\u0301", "café"),
        ("ㅤ⠀", ""),
        ("", ""),
        ("   ", ""),
        ("\u200b\u200e", ""),
    ],
)
def test_every_spelling_becomes_one(typed: str, normalized: str) -> None:
    assert normalize(typed).text == normalized
    assert normalize(normalized).text == normalized


@pytest.mark.parametrize(
    ("typed", "found", "original"),
    [
        ("我的\u200b訂單　　ＯＲＤ１２３４５！！", "ord12345", "ＯＲＤ１２３４５"),
        ("退\u200b货吧", "退货", "退\u200b货"),
        ("㎏多少", "kg", "㎏"),
        ("cafe\u0301!", "café", "cafe\u0301"),
        ("哈哈哈哈退货", "退货", "退货"),
    ],
)
def test_a_place_in_the_normalized_text_is_a_place_in_the_original(typed: str, found: str, original: str) -> None:
    normalized = normalize(typed)
    at = normalized.text.index(found)
    start, end = normalized.span(at, at + len(found))
    assert typed[start:end] == original
    assert len(normalized.offsets) == len(normalized.text)


def test_what_nobody_can_see_is_nothing() -> None:
    assert visible(" \u200b/restart\u202e ") == "/restart"
    assert visible("\u3164\ufe0f\u200d") == ""
