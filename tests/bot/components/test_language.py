"""Which language a message shows."""

from __future__ import annotations

import pytest

from bot.components.language import language_of


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
        ("stop", None),  # people of any language type them
        ("Confirm!", None),
        ("thanks", None),
        ("stop it please", "en"),
        ("hello", "en"),
    ],
)
def test_language(text: str, language: str | None) -> None:
    assert language_of(text) == language
