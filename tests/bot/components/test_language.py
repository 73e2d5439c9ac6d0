"""Which language a message shows."""

from __future__ import annotations

import pytest

from bot.components.language import language_of, without_names


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("where is my order", "en"),
        ("refund", "en"),
        ("hi", "en"),
        ("i want to return ORD12345", "en"),
        ("我要退货", "zh"),
        ("帮我查 order", "zh"),
        ("iPhone 手机壳", "zh"),
        ("ok", None),
        ("ORD12345", None),
        ("XXL", None),
        ("5678", None),
        ("😀", None),
        ("yes", None),
    ],
)
def test_language(text: str, language: str | None) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize(
    ("text", "entity", "language"),
    [
        ("Watch Ultra", "product", None),
        ("Watch Ultra how much", "product", "en"),
        ("Watch Ultra 多少钱", "product", "zh"),
        ("Watch Ultra", "reason", "en"),
        ("www.shop.example/some-long-name", "category", None),
    ],
)
def test_names_and_links_are_in_no_language(text: str, entity: str, language: str | None) -> None:
    found = [{"entity": entity, "start": 0, "end": len("Watch Ultra")}]
    assert language_of(without_names(text, found)) == language
