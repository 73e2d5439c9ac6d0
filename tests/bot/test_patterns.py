"""Files of patterns: what they say is found, and one that is not well made is refused, with file and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot import patterns


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(patterns, "FOLDER", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("talk: {pattern: a, finds: [a]}\nmore: {pattern: a, finds: [a]}", "exactly talk"),
        ("{}", "exactly talk"),
        ("[talk]", "names and their patterns"),
        ("talk: a", "talk: pattern, finds"),
        ("talk: {pattern: a}", "talk: pattern, finds"),
        ("talk: {pattern: a, finds: [a], find: [b]}", "talk: pattern, finds"),
        ("talk: {pattern: [], finds: [a]}", "talk: a list of patterns"),
        ("talk: {pattern: [1], finds: [a]}", "talk: patterns in quotes"),
        ("talk: {pattern: a, finds: []}", "talk.finds: at least one"),
        ("talk: {pattern: ['a', '(b'], finds: [a]}", r"talk: '\(b' is no regular expression"),
        ("talk: {pattern: ['(?P<x>a)', '(?P<x>b)'], finds: [a]}", "talk: redefinition"),
        ("talk: {pattern: A, finds: [a]}", "small letters in 'A'"),
        ("talk: {pattern: '{who}', finds: [a]}", "no pieces other than those above it, not who"),
        ("pieces: {Who: a}\ntalk: {pattern: a, finds: [a]}", "pieces.Who: small letters"),
        ("talk: {pattern: 退货, finds: [我要退, 退货]}", "talk: to be found in '我要退'"),
        ("talk: {pattern: 退, finds: [退货], spares: [退休]}", "talk: not to be found in '退休'"),
    ],
)
def test_a_bad_file(content: str, complaint: str, folder: Path) -> None:
    (folder / "orders.yml").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=rf"orders\.yml: .*{complaint}"):
        patterns.load("orders", "talk")


def test_a_list_is_one_pattern_with_its_pieces(folder: Path) -> None:
    content = "pieces: {who: '我们?|咱'}\ntalk: {pattern: ['{who}個人', 'x(?P<n>[0-9]{2})'], finds: [我們個人, X12]}"
    (folder / "orders.yml").write_text(content, encoding="utf-8")
    talk = patterns.load("orders", "talk")["talk"]
    assert patterns.cut(talk, "好，Ｘ１２ 咱個人 OK", "_") == "好，_ _ OK"
    assert patterns.cut(talk, "X12X34", most=1) == "X34"


def test_all_files_keep_their_examples() -> None:
    assert all(patterns.read(path) for path in patterns.FOLDER.glob("*.yml"))
