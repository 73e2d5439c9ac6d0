"""Chinese written in Latin letters: how lines sound, and words that are pinyin cut into syllables."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache

from pypinyin import lazy_pinyin
from pypinyin.constants import PINYIN_DICT

_LONGEST = 6
"""Letters of a syllable: zhuang."""

_TOO_LONG = 60
"""Letters of what no longer is a word."""


@cache
def _syllables() -> frozenset[str]:
    """All there are; of single letters only those that are words."""
    known = {syllable for code in PINYIN_DICT if 0x4E00 <= code < 0x9FA6 for syllable in lazy_pinyin(chr(code))}
    return frozenset(one for one in known if len(one) > 1 or one in "aeo")


def _is_latin(word: str) -> bool:
    return word.isascii() and word.isalpha() and len(word) < _TOO_LONG


@lru_cache(4096)
def _cut(word: str) -> tuple[str, ...] | None:
    """The fewest syllables that make up the word, the first ones as long as can be; None where none do."""
    best: tuple[str, ...] | None = None if word else ()
    for length in range(min(_LONGEST, len(word)), 0, -1):
        if word[:length] in _syllables() and (rest := _cut(word[length:])) is not None:
            best = min(best, (word[:length], *rest), key=len) if best is not None else (word[:length], *rest)
    return best


def by_syllables(words: Sequence[str]) -> list[str]:
    """Words that are pinyin become their syllables; all others stay: tuihuo → tui, huo."""
    return [part for word in words for part in (_is_latin(word) and _cut(word)) or (word,)]


def is_pinyin(words: Sequence[str]) -> bool:
    """Whether all that is written is pinyin, numbers aside. A few English words look like it: can you."""
    letters = [word for word in words if any(character.isalpha() for character in word)]
    return bool(letters) and all(_is_latin(word) and _cut(word) for word in letters)


def sounds(words: Sequence[str]) -> list[str]:
    """The syllables of what is written in characters or in pinyin, and other words as they are."""
    return by_syllables([sound for word in words for sound in (lazy_pinyin(word) if not word.isascii() else [word])])
