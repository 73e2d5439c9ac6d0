"""Cuts a text into the pieces of a BERT's ``vocab.txt``: Chinese characters, and the longest known parts of words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

FIRST, LAST, UNKNOWN, FILLER = "[CLS]", "[SEP]", "[UNK]", "[PAD]"

LONGEST_WORD = 100
"""Characters; a longer word is unknown, as it was in training."""

_WORD = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]|\w(?:[^\W\u3400-\u9fff\uf900-\ufaff])*|[^\w\s]|_")


class WordPieces:
    """Raises ValueError for a vocabulary that lacks a special piece."""

    def __init__(self, file: Path, *, lower: bool) -> None:
        pieces = file.read_text("utf-8").splitlines()
        self._numbers = {piece: number for number, piece in enumerate(pieces)}
        self._lower = lower
        for piece in (FIRST, LAST, UNKNOWN, FILLER):
            if piece not in self._numbers:
                raise ValueError(f"{file.name} has no {piece}")
        self.filler = self._numbers[FILLER]

    def numbered(self, text: str, longest: int) -> Sequence[int]:
        """The numbers of the pieces, at most ``longest`` with the first and the last sign."""
        pieces = [piece for word in _WORD.findall(self._plain(text)) for piece in self._cut(word)]
        return [self._numbers[piece] for piece in (FIRST, *pieces[: longest - 2], LAST)]

    def _plain(self, text: str) -> str:
        """As BERT was trained: no control characters, and in lower case without accents where that is its way."""
        seen = "".join(" " if c.isspace() else c for c in text if c.isspace() or unicodedata.category(c)[0] != "C")
        if not self._lower:
            return unicodedata.normalize("NFC", seen)
        return "".join(c for c in unicodedata.normalize("NFD", seen.lower()) if unicodedata.category(c) != "Mn")

    def _cut(self, word: str) -> Iterator[str]:
        found: list[str] = []
        start = 0
        while start < len(word) <= LONGEST_WORD:
            ends = range(len(word), start, -1)
            parts = (("##" if start else "") + word[start:end] for end in ends)
            piece = next((part for part in parts if part in self._numbers), None)
            if piece is None:
                break
            found.append(piece)
            start += len(piece.removeprefix("##") if start else piece)
        yield from found if start == len(word) else [UNKNOWN]
