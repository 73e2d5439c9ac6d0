"""Pinyin without characters is heard as what it sounds like."""

from __future__ import annotations

import pytest

from bot.components.pinyin import by_syllables, is_pinyin, sounds


@pytest.mark.parametrize(
    ("written", "syllables"),
    [
        ("tuihuo", "tui huo"),
        ("kuaidi dao nale", "kuai di dao na le"),
        ("woyaotuikuan", "wo yao tui kuan"),
        ("xian", "xian"),  # the fewest
        ("nver", "nv er"),
        ("refund please", "refund please"),
        ("huawei usb", "hua wei usb"),
        ("x" * 5000, "x" * 5000),
    ],
)
def test_words_are_cut_into_syllables(written: str, syllables: str) -> None:
    assert by_syllables(written.split()) == syllables.split()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["tuihuo"], True),
        (["digits4", "tuihuo"], False),
        (["kuaidi", "3", "tian"], True),
        (["退", "huo"], False),
        (["where", "is", "it"], False),
        (["12"], False),
        (["😀"], False),
        ([], False),
    ],
)
def test_what_is_pinyin(words: list[str], told: bool) -> None:
    assert is_pinyin(words) is told


def test_characters_sound_like_pinyin() -> None:
    assert sounds([*"我要退货", "iphone"]) == ["wo", "yao", "tui", "huo", "iphone"]
