"""One spelling for what people type, and the figures in it, for both sides of the bot."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import Path

import yaml
from opencc import OpenCC

_FIGURES = yaml.safe_load((Path(__file__).parent / "data/numbers.yml").read_text(encoding="utf-8"))

DIGITS: dict[str, int] = {
    character: digit for digit, characters in enumerate(_FIGURES["digits"]) for character in characters
}
"""Chinese digits and what they are worth, as they are read out in a number: 五六七八, 幺三八."""

POWERS: dict[str, int] = _FIGURES["powers"]
"""What multiplies: 十, 百, 千, 万, k, w."""

DAY: dict[str, str] = _FIGURES["day"]
"""How a day is said, by language: format strings for ``moment``."""

DAY_OF_YEAR: dict[str, str] = _FIGURES["day_of_year"]
"""The same of another year than this."""

_MYRIAD = 10000
_FIGURE = re.compile(r"[0-9]+(?:\.[0-9]+)?|\S")


@cache
def _simplifier() -> OpenCC:
    return OpenCC("t2s")


def simplified(text: str) -> str:
    simplified: str = _simplifier().convert(text)
    # Every rule of t2s keeps the length; should a later dictionary not, places count more than simplification.
    return simplified if len(simplified) == len(text) else text


def plain(text: str) -> str:
    """Half-width, small, simplified, and as long as ``text``: a place in it is the same place in the original."""
    folded = (unicodedata.normalize("NFKC", character).casefold() for character in text)
    return simplified("".join(new if len(new) == 1 else old for new, old in zip(folded, text, strict=True)))


def number(text: str) -> float | None:
    """What figures are worth: ``12``, ``十二``, ``两百五`` (250), ``一百零五``, ``1万2`` (12000), ``1.5k``.

    None where anything else stands among them. Digits without 十 or 百 are read one by one: ``一二`` is 12."""
    myriads = hundreds = 0.0
    digit: float | None = None
    power, skipped, found = 10.0, False, False
    for figure in _FIGURE.findall(plain(text)):
        if figure in POWERS:
            power = float(POWERS[figure])
            if power >= _MYRIAD:
                myriads, hundreds = (hundreds + (digit or 0) or 1) * power, 0.0
            else:
                hundreds += (1 if digit is None else digit) * power
            digit, skipped = None, False
        elif figure in DIGITS:
            skipped |= DIGITS[figure] == 0
            digit = DIGITS[figure] if digit is None else digit * 10 + DIGITS[figure]
        elif figure[0].isdecimal():
            digit = float(figure)
        else:
            return None
        found = True
    # what stands behind a hundred without its own unit is tens: 两百五
    ends = (digit or 0) * (1 if skipped else power / 10)
    return myriads + hundreds + ends if found else None
