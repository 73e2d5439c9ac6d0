"""Numbers by which companies are known to the tax office."""

from __future__ import annotations

import re

_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"


_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)


def is_tax_number(number: str) -> bool:
    """A unified social credit code of 18 characters with its check character, or an older number of 15 or 20."""
    if len(number) in (15, 20):
        return bool(re.fullmatch(r"[0-9A-Z]+", number))
    if len(number) != 18 or any(character not in _ALPHABET for character in number):
        return False
    total = sum(weight * _ALPHABET.index(character) for weight, character in zip(_WEIGHTS, number, strict=False))
    return _ALPHABET[-total % 31] == number[-1]
