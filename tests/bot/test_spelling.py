"""Figures as they are written and spoken, and one spelling that keeps places."""

from __future__ import annotations

import pytest

from bot.spelling import number, plain


@pytest.mark.parametrize(
    ("text", "worth"),
    [
        ("12", 12),
        ("１２", 12),
        ("十二", 12),
        ("二十", 20),
        ("两百五", 250),
        ("兩百五", 250),
        ("一百零五", 105),
        ("千二", 1200),
        ("两千零五十", 2050),
        ("一万五千三", 15300),
        ("1万2", 12000),
        ("十二万", 120000),
        ("1.5k", 1500),
        ("贰佰", 200),
        ("五六七八", 5678),
        ("零", 0),
        ("", None),
        ("三百块", None),
        ("几百", None),
    ],
)
def test_numbers(text: str, worth: float | None) -> None:
    assert number(text) == worth


@pytest.mark.parametrize(
    ("text", "spelt"),
    [("我要開發票", "我要开发票"), ("ＡＢＣ　№1", "abc №1"), ("İstanbul", "İstanbul"), ("幾時", "几时")],
)
def test_plain_keeps_every_place(text: str, spelt: str) -> None:
    assert plain(text) == spelt
    assert len(plain(text)) == len(text)
