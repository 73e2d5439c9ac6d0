"""A text is cut as a BERT was taught."""

from __future__ import annotations

from pathlib import Path

import pytest

from encoder.wordpiece import WordPieces

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "还", "没", "到", "refund", "##ed", "ord", "##1", "##2", "!", "a"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(PIECES), "utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("还没到!", ["还", "没", "到", "!"]),
        ("Refunded", ["refund", "##ed"]),
        ("ord12还没", ["ord", "##1", "##2", "还", "没"]),
        ("ord9", ["[UNK]"]),
        ("á\u200b", ["a"]),
        ("退", ["[UNK]"]),
        ("a" * 101, ["[UNK]"]),
        ("", []),
    ],
)
def test_it_is_cut(file: Path, text: str, pieces: list[str]) -> None:
    numbers = WordPieces(file, lower=True).numbered(text, 16)
    assert [PIECES[number] for number in numbers] == ["[CLS]", *pieces, "[SEP]"]


def test_a_long_text_still_ends(file: Path) -> None:
    numbers = WordPieces(file, lower=True).numbered("还没到" * 9, 5)
    assert [PIECES[number] for number in numbers] == ["[CLS]", "还", "没", "到", "[SEP]"]


def test_capitals_count_where_they_were_taught(file: Path) -> None:
    assert PIECES[WordPieces(file, lower=False).numbered("A", 8)[1]] == "[UNK]"


def test_a_vocabulary_without_its_signs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("[PAD]\n还", "utf-8")
    with pytest.raises(ValueError, match="has no"):
        WordPieces(tmp_path / "vocab.txt", lower=True)
