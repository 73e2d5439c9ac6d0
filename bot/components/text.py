"""One spelling for what people type: full-width, traditional, invisible, repeated characters.

The customer's own words are kept as they came; components work on the normalised text and point back into the original.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from bot.spelling import DIGITS, simplified

# Format, control and surrogate characters; what Unicode puts elsewhere though nobody sees it:
# variation selectors, Hangul fillers, the Braille blank
_INVISIBLE_CATEGORIES = frozenset({"Cf", "Cc", "Cs"})
_INVISIBLE = re.compile("[\u115f\u1160\u180b-\u180d\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
_CLUSTER = re.compile(r".[\u0300-\u036f\u3099\u309a]*", re.DOTALL)


@dataclass(frozen=True)
class Normalized:
    """``text`` and, for each of its characters, the ``(start, end)`` that it came from in the original."""

    text: str
    offsets: tuple[tuple[int, int], ...]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The slice of the original that ``text[start:end]`` stands for; ``end`` must be greater than ``start``."""
        return self.offsets[start][0], self.offsets[end - 1][1]


@lru_cache(maxsize=8192)
def is_invisible(character: str) -> bool:
    """Zero-width, right-to-left and other marks, variation selectors, control characters other than white space."""
    if character.isspace():
        return False
    return unicodedata.category(character) in _INVISIBLE_CATEGORIES or bool(_INVISIBLE.match(character))


def visible(text: str) -> str:
    """``text`` without invisible characters and outer white space: empty when nobody could see a word in it."""
    return "".join(character for character in text if not is_invisible(character)).strip()


def _compatible(text: str) -> Iterator[tuple[str, int, int]]:
    """NFKC and lower case, character by character, with the place that each came from."""
    for cluster in _CLUSTER.finditer(text):
        for character in unicodedata.normalize("NFKC", cluster.group()).lower():
            if not is_invisible(character):
                yield character, cluster.start(), cluster.end()


def _may_repeat(character: str, run: int) -> bool:
    """哈哈哈哈 says as much as 哈哈, and ！！！ as ！; but XXXL, 1000 and 八八八八 mean what they say."""
    if not character.isalnum():
        return run <= 1
    return character.isascii() or character in DIGITS or run <= 2


def normalize(text: str) -> Normalized:
    """NFKC (full-width forms), simplified characters, lower case, single spaces, nothing invisible, no long runs.

    Nothing is reordered: ``offsets`` rise."""
    characters: list[str] = []
    offsets: list[tuple[int, int]] = []
    run = 0
    for character, start, end in _compatible(text):
        if character.isspace():
            character = " "
        run = run + 1 if characters and characters[-1] == character else 1
        if not _may_repeat(character, run) or (character == " " and not characters):
            continue
        characters.append(character)
        offsets.append((start, end))
    if characters and characters[-1] == " ":
        characters.pop()
        offsets.pop()
    return Normalized(simplified("".join(characters)), tuple(offsets))
