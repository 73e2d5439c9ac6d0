"""What customers call the goods: the list that the bot looks names up in, written anew when the catalogue changes.

``DATA_DIR/lookups/catalogue.json``: ``{"product" | "brand" | "category": [{"value", "names": […], "short": […]}]}``.
``value`` is the name as the mall writes it. ``names`` and ``short`` are spelt in NFKC, lower case, without spaces and
punctuation; in ``names`` a reader may forgive a wrong character, ``short`` forms are too short or too plain for that.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile

from sqlalchemy.exc import SQLAlchemyError

from mall_adapter.errors import MallUnavailable
from mall_adapter.values import Listing

logger = logging.getLogger(__name__)

WATCH_SECONDS = 20.0
"""A change of the catalogue reaches the bot within this time."""

PRODUCTS_A_SECOND = 1000
"""A large catalogue is looked at less often: of a hundred thousand products, all are read once in 100 s."""

Goods = tuple[str, str, str]
"""Name, brand, category of a product."""

Catalogue = Callable[[], Awaitable[Sequence[Listing]]]
"""Asks for every product of a mall."""

_HAN = re.compile("[\u4e00-\u9fff]+")


def plain(text: str) -> str:
    """NFKC and lower case: full-width and half-width, capital and small letters are the same."""
    return unicodedata.normalize("NFKC", text).casefold()


def spelt(text: str) -> str:
    """Letters, digits and characters only."""
    return "".join(character for character in plain(text) if character.isalnum())


def _noun(parts: list[str], category: str) -> int:
    """Which part of a name says what the thing is, the last like the category: **越野跑鞋** 湿石防滑."""
    kinds = {category[i : i + 2] for i in range(len(category) - 1)}
    for i in range(len(parts) - 1, -1, -1):
        if parts[i][-1:] == category[-1:] or any(kind in parts[i] for kind in kinds):
            return i
    return next((i for i, part in enumerate(parts) if len("".join(_HAN.findall(part))) >= 3), len(parts) - 1)


def names_of(goods: Goods) -> tuple[list[str], list[str]]:
    """``(names, short)`` of one product: with and without its brand, its series, and what it is in the end."""
    name, brand, category = goods
    own = name.removeprefix(brand).split() or [name]
    brand, category = spelt(brand), spelt(category)
    parts = [spelt(part) for part in own]
    noun = _noun(parts, category)
    core, thing = "".join(parts[: noun + 1]), parts[noun]
    names = [spelt(name), "".join(parts), core, brand + core]
    if len(thing) > 4:
        names.append(thing)
    short = [thing[-size:] for size in range(3, 7)] + [brand + thing[-size:] for size in range(2, 7)]
    for end in range(1, noun + 1):  # 疾风, 疾风 3, C9 Pro: with the brand or the category, and a model alone
        series = "".join(parts[:end])
        names += [brand + series, brand + series + category]
        short += [series + category, series + thing[-2:]]
        if re.fullmatch("[a-z]+[0-9]+[a-z0-9]*|[\u4e00-\u9fff]{2,}[0-9a-z]+", series):
            short.append(series)
    # a character before the kind is half a word as often as not: 黄月饼 of 流心奶黄月饼
    return names, [form for form in short if form not in names and form[1:] != category]


def slipped(name: str, text: str) -> bool:
    """Is ``name`` in ``text`` with one character wrong, missing or too many? Digits and letters must be right."""
    ways = [f"{name[:i]}[一-鿿]?{name[i + 1 :]}" for i, character in enumerate(name) if not character.isascii()]
    ways += [f"{name[:i]}[一-鿿]{name[i:]}" for i in range(1, len(name))]
    return re.search("|".join(ways), text) is not None


def calls(catalogue: Iterable[Goods]) -> dict[str, list[dict[str, object]]]:
    """The content of the file. What two products could be called, or what is a brand or a category, is no product."""
    catalogue = list(catalogue)
    found: dict[str, dict[str, tuple[list[str], list[str]]]] = {"product": {}, "brand": {}, "category": {}}
    for goods in catalogue:
        found["product"][goods[0]] = names_of(goods)
        found["brand"][goods[1]] = [spelt(goods[1])], []
        found["category"][goods[2]] = [spelt(goods[2])], []
    owners: dict[str, set[str]] = defaultdict(set)
    for value, forms in found["product"].items():
        for form in set(forms[0] + forms[1]):
            owners[form].add(value)
    taken = {form for entity in ("brand", "category") for (form, *_), _ in found[entity].values()}

    def kept(forms: Iterable[str], product: bool) -> list[str]:
        alone = (form for form in dict.fromkeys(forms) if not product or (len(owners[form]) == 1 and form not in taken))
        return [form for form in alone if len(form) > 1]

    return {
        entity: [
            {"value": value, "names": kept(names, entity == "product"), "short": kept(short, entity == "product")}
            for value, (names, short) in values.items()
            if value
        ]
        for entity, values in found.items()
    }


async def _read(catalogue: Catalogue) -> list[Goods]:
    return [(one.name, one.brand, one.category) for one in await catalogue()]


def _write(catalogue: list[Goods], path: Path) -> bool:
    content = json.dumps(calls(catalogue), ensure_ascii=False, separators=(",", ":"))
    if path.exists() and path.read_text("utf-8") == content:
        return False
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=".", delete=False) as new:
        new.write(content)
    os.replace(new.name, path)  # noqa: PTH105 (a reader has the old list or the new one, never a part)
    return True


async def write_names(catalogue: Catalogue, path: Path) -> bool:
    """Brings the file up to date; was there anything to do?"""
    return await asyncio.to_thread(_write, await _read(catalogue), path)


async def watch_names(catalogue: Catalogue, path: Path, seconds: float = WATCH_SECONDS) -> None:
    """Keeps the file up to date until it is cancelled; a mall that does not answer is asked again later."""
    known: int | None = None
    goods: list[Goods] = []
    while True:
        try:
            goods = await _read(catalogue)
            if hash(tuple(goods)) != known:
                if await asyncio.to_thread(_write, goods, path):
                    logger.info("the names of %d products were written to %s", len(goods), path.name)
                known = hash(tuple(goods))
        except (SQLAlchemyError, MallUnavailable, OSError) as error:
            logger.warning("the catalogue's names were not written: %s", type(error).__name__)
        await asyncio.sleep(max(seconds, len(goods) / PRODUCTS_A_SECOND))
