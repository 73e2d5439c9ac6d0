"""Files of patterns that are not well made are refused, with file and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.actions import patterns


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("talk: a\nmore: b", "exactly talk"),
        ("{}", "exactly talk"),
        ("talk: []", "talk is neither"),
        ("talk: [1]", "talk is neither"),
        ("talk: ['a', '(b']", r"talk: '\(b' is no regular expression"),
    ],
)
def test_a_bad_file(content: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "orders.yml").write_text(content, encoding="utf-8")
    monkeypatch.setattr(patterns, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match=rf"orders\.yml: .*{complaint}"):
        patterns.load("orders", "talk")


def test_a_list_is_one_pattern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "orders.yml").write_text("talk: ['a|b', C]", encoding="utf-8")
    monkeypatch.setattr(patterns, "FOLDER", tmp_path)
    assert patterns.load("orders", "talk")["talk"].sub("", "xAbcy") == "xy"
