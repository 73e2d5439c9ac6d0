"""A customer's question as the retriever reads it: one spelling, cut into characters, words and numbers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

from opencc import OpenCC

_TOKEN = re.compile(r"[0-9]+|[a-z\u00df-\u024f]+|[^\W_]")
_AGAIN = re.compile(r"(.)\1{2,}")
SHORT = 3
"""Digits of a number that means something: 618, 双11, 7天."""

_PIECE = 4
"""Letters of a piece of a Latin word: "refunded" and "refund" share some."""


@cache
def _simplified() -> OpenCC:
    return OpenCC("t2s")


def cut(text: str) -> list[str]:
    """Tokens of ``text``: NFKC, lower case, simplified, nothing more than twice in a row; a long number is ``0``."""
    plain = _AGAIN.sub(r"\1\1", _simplified().convert(unicodedata.normalize("NFKC", text).lower()))
    return ["0" if token.isdecimal() and len(token) > SHORT else token for token in _TOKEN.findall(plain)]


def features(tokens: Sequence[str]) -> list[str]:
    """What is weighed of a text: tokens, neighbours, and pieces of Latin words."""
    latin = [f"<{token}>" for token in tokens if token.isascii() and len(token) >= _PIECE]
    return [
        *tokens,
        *(f"{one} {other}" for one, other in pairwise(["^", *tokens, "$"])),
        *(word[i : i + _PIECE] for word in latin for i in range(len(word) - _PIECE + 1)),
    ]
