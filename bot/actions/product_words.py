"""How customers speak of goods, and what the pages of goods call it: ``bot/data/goods.yml``, and the patterns of
``bot/data/patterns/shopping.yml``. Both are checked when they are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bot import patterns
from bot.spelling import plain

SAID = patterns.load(
    "shopping",
    "cheaper",
    "dearer",
    "others",
    "similar",
    "narrows",
    "which",
    "most",
    "goes_with",
    "any_companion",
    "fits",
    "joins",
    "seeks",
    "looks",
    "asks_for",
    "whether",
    "uses",
    "link",
    "no_name",
    "in_all",
    "these",
    "fragment",
    "orders",
    "bought",
    "regular",
    "of_an_order",
    "price_to_come",
    "asks_stock",
    "asks_kinds",
    "no_colour",
    "colour",
    "size",
    "denied",
    "says_nothing",
    "in_general",
    "rules_out",
    "how_many",
    "how_much",
    "measure",
    "quantity",
    "age",
    "ages",
    "asks_shop",
    "taste",
)
"""Matched against ``plain(text)``."""

FILE = Path(__file__).parents[1] / "data/goods.yml"


@dataclass(frozen=True, slots=True)
class Aspect:
    """What customers ask of a product in other words than its page does."""

    name: str  # utter_word_better_<name>
    asked: re.Pattern[str]
    attributes: tuple[str, ...]  # their names hold one of these
    better: str  # "less", "more", or "" where products cannot be put in order by it

    @property
    def lower_is_better(self) -> bool:
        return self.better == "less"


@dataclass(frozen=True, slots=True)
class Quality:
    """What goods have to be, in the words of customers and in those of pages."""

    name: str  # as it is said back
    english: str
    asked: re.Pattern[str]
    written: tuple[str, ...]  # of which one has to stand on the page
    soft: bool  # a hint: where no page of the shelf speaks of it, it is let go
    never: tuple[str, ...]  # of which none may stand there
    ages: tuple[int, int] | None  # who tells an age wishes it, too
    named: tuple[str, ...]  # in names of goods that are for nobody else


@dataclass(frozen=True, slots=True)
class GoodsWords:
    aspects: tuple[Aspect, ...]
    qualities: Mapping[str, Quality]
    units: Mapping[str, str]
    same: Mapping[str, tuple[str, float]]
    nearest: Mapping[str, tuple[str, ...]]
    kinds: Mapping[str, tuple[re.Pattern[str], tuple[str, ...]]]  # 衣服: how it is said, and its shelves
    first: tuple[str, ...]  # shelves to begin with
    age: str  # the unit of an age: goods are for from so many years to so many
    how_to_ask: frozenset[str]  # ids of answers that only say how to ask about goods


def read(path: Path = FILE) -> GoodsWords:
    """Raises ValueError with the file and the entry that is not as it has to be."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    try:
        aspects = tuple(
            Aspect(name, re.compile(told["asked"]), tuple(told.get("written", ())), _better(told))
            for name, told in content["aspects"].items()
        )
        qualities = {
            name: Quality(
                name,
                told["en"],
                re.compile(told["asked"]),
                tuple(map(plain, told["written"])),
                bool(told.get("soft")),
                tuple(told.get("never", ())),
                _ages(told),
                tuple(told.get("named", ())),
            )
            for name, told in content["qualities"].items()
        }
        units = {plain(str(said)): plain(str(written)) for said, written in content["units"].items()}
        same = {unit: (str(of), float(factor)) for unit, (of, factor) in content["same"].items()}
        nearest = {name: tuple(shelves) for name, shelves in content["nearest"].items()}
        shelves_of = {
            name: (re.compile(told["asked"]), tuple(told["shelves"])) for name, told in content["kinds"].items()
        }
        first, how_to_ask, age = tuple(content["first"]), frozenset(content["how_to_ask"]), str(content["age"])
    except (LookupError, TypeError, AttributeError, ValueError, re.error) as error:
        raise ValueError(f"{path.name}: {type(error).__name__}: {error}") from error
    return GoodsWords(aspects, qualities, units, same, nearest, shelves_of, first, age, how_to_ask)


def _ages(told: Mapping[str, Any]) -> tuple[int, int] | None:
    if "ages" not in told:
        return None
    youngest, oldest = map(int, told["ages"])
    return youngest, oldest


def _better(told: Mapping[str, Any]) -> str:
    value = str(told.get("better", ""))
    if value not in ("less", "more", ""):
        raise ValueError(f"better: {value}, and neither less nor more")
    return value


_WORDS = read()
ASPECTS, QUALITIES, NEAREST = _WORDS.aspects, _WORDS.qualities, _WORDS.nearest
UNITS, SAME, FIRST_SHELVES, HOW_TO_ASK = _WORDS.units, _WORDS.same, _WORDS.first, _WORDS.how_to_ask
AGE = _WORDS.age


def aspects_in(text: str) -> list[Aspect]:
    written = plain(text)
    return [aspect for aspect in ASPECTS if aspect.asked.search(written)]


def kind_called(text: str) -> tuple[str, ...]:
    """``("衣服吧")`` → the shelves of that kind; empty where none is named, or it is ruled out ("不要吃的")."""
    written = plain(text)
    named = ((asked.search(written), shelves) for asked, shelves in _WORDS.kinds.values())
    return next((to for one, to in named if one and not SAID["rules_out"].search(written[: one.start()])), ())


def without_aspects(text: str) -> str:
    """What is left of a question when the price and the like that it asks for are taken out of it."""
    written = plain(text)
    for aspect in ASPECTS:
        written = aspect.asked.sub(" ", written)
    return written


def about_price(names: Iterable[str]) -> bool:
    """Whether one of these attributes is a price: 滤芯价格."""
    (price,) = (aspect for aspect in ASPECTS if aspect.name == "price")
    return any(part in name for part in price.attributes for name in names)


def qualities_in(text: str) -> tuple[list[str], str]:
    """``("给老人用的")`` → 适合长辈, and the text with what says it blanked out."""
    written, found = plain(text), []
    for name, quality in QUALITIES.items():
        if matches := list(quality.asked.finditer(written)):
            found.append(name)
            for match in matches:
                blank = " " * len(match.group())
                text = text[: match.start()] + blank + text[match.end() :]
                written = written[: match.start()] + blank + written[match.end() :]
    return found, text


def ways_to_write(word: str) -> tuple[str, ...]:
    """What may stand on a page for the word, or for the quality of that name."""
    quality = QUALITIES.get(word)
    return quality.written if quality else (word,)
