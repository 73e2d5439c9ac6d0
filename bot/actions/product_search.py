"""What a customer's words ask of a product: a budget, a shelf, and words that the graph knows of the goods on it."""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bot.actions.knowledge_base import GraphKnowledgeBase, Object
from bot.actions.turn import Turn
from knowledge_graph import products

SHELF = 200
"""So many products of a category are enough to learn its words."""

CATEGORIES = 1000

LOOKED_AT = 30
"""Of so many that fit, those with an express no are taken out."""

ROUND_ABOUT = 0.25
"""一千左右: a quarter more or less."""

_DIGITS = {
    character: number
    for number, characters in enumerate(("零〇", "一", "二两", *"三四五六七八九"))
    for character in characters
}
_POWERS = {"十": 10, "百": 100, "千": 1000, "万": 10000, "k": 1000, "w": 10000}


def plain(text: str) -> str:
    """NFKC and lower case, of the same length: what a customer types has one character for each."""
    folded = (unicodedata.normalize("NFKC", character).casefold() for character in text)
    return "".join(one if len(one) == 1 else character for one, character in zip(folded, text, strict=True))


# --- budget ----------------------------------------------------------------------------------------------------------

_N = r"[0-9]+(?:\.[0-9]+)?[千百万kw]?(?![0-9a-z])|[一二两三四五六七八九十百千万零]+(?![一二两三四五六七八九十百千万零])"
_YUAN = r"\s*(?:元|块钱?|rmb|yuan|bucks)"
_NOT_MONEY = (  # 40码以内, 3公里以上, 2天内
    r"(?!\s*(?:码|号|[英公]?寸|平|㎡|个|人|岁|后|款|件|双|瓶|支|盒|色|位|ml|毫升|k?g\b|千?克|公?斤|l\b|升|小时|分钟?|天|月|年"
    r"|周|w\b|瓦|mah|毫安|[cm]?m\b|厘?米|公里|里|hz|db|分贝|级|倍|寸|度|℃|%|折))"
)
_SUM = rf"[¥$]?\s*(?P<{{0}}>{_N})(?:{_YUAN}|{_NOT_MONEY})"
_FROM, _TO, _AT = (_SUM.format(name) for name in ("low", "high", "at"))
_ABOUT = r"(?:大概|大约|差不多|around|about)"
_BUDGETS = [
    re.compile(pattern)
    for pattern in (
        rf"{_FROM}\s*(?:到|至|-|~|–|—|to)\s*{_TO}(?:\s*(?:之间|左右))?",
        rf"(?P<hundreds>[一二两三四五六七八九]{{2}})(?P<power>[百千万]){_NOT_MONEY}",
        r"(?:不要?超过?|别超过?|不高于|低于|小于|少于|不大于|最多|顶多"
        rf"|under|below|less than|up to|within|at most|max)\s*{_TO}",
        rf"{_TO}\s*(?:以内|之内|以下|之下|以里|封顶|不到|内(?![存置衣裤胆搭]))",
        rf"{_FROM}\s*(?:以上|往上|朝上|起步)"
        rf"|(?:高于|至少|不低于|不少于|over|above|more than|at least)\s*{_FROM.replace('low', 'least')}",
        rf"{_ABOUT}?\s*{_AT}\s*(?:左右|上下|出头)|(?:around|about)\s*{_AT.replace('at>', 'near>')}",
        rf"(?:预算|budget)(?:是|在|有|就|大概|大约|of|is|\s|[::])*{_TO}",
        rf"(?:[¥$]\s*(?P<high>{_N})|(?P<bare>{_N}){_YUAN})",
    )
]


@dataclass(frozen=True, slots=True)
class Budget:
    min_cents: int | None
    max_cents: int | None

    def allows(self, prices: Sequence[int]) -> bool:
        """Whether one of the kinds may be had for it."""
        return any(
            (self.min_cents is None or price >= self.min_cents) and (self.max_cents is None or price <= self.max_cents)
            for price in prices
        )


def read_budget(text: str) -> tuple[Budget | None, str]:
    """``("200以内的面霜")`` → at most 20000 cents, and the text with the budget blanked out."""
    written = plain(text)
    for pattern in _BUDGETS:
        match = pattern.search(written)
        if match and (budget := _budget({name: found for name, found in match.groupdict().items() if found})):
            return budget, text[: match.start()] + " " * len(match.group()) + text[match.end() :]
    return None, text


def _budget(found: dict[str, str]) -> Budget | None:
    if "hundreds" in found:  # 一两百
        low, high = (_DIGITS[digit] * _POWERS[found["power"]] * 100 for digit in found["hundreds"])
        return Budget(low, high) if low < high else None
    sums = {name: _cents(number) for name, number in found.items()}
    if near := sums.get("at") or sums.get("near"):
        return Budget(round(near * (1 - ROUND_ABOUT)), round(near * (1 + ROUND_ABOUT)))
    low_cents, high_cents = sums.get("low") or sums.get("least"), sums.get("high") or sums.get("bare")
    if low_cents and high_cents and low_cents > high_cents:
        low_cents, high_cents = high_cents, low_cents
    return Budget(low_cents or None, high_cents or None) if low_cents or high_cents else None


def _cents(number: str) -> int:
    """``两百五`` → 25000, ``1.5k`` → 150000, ``一百零五`` → 10500"""
    if number[0].isdecimal():
        power = _POWERS.get(number[-1], 1)
        return round(float(number.rstrip("千百万kw十")) * power * 100)
    total, section, digit, power = 0, 0, 0, 1
    for character in number:
        if character in _DIGITS:
            digit = _DIGITS[character]
            power = 1 if character in "零〇" else power
        elif character == "万":
            total, section, digit, power = total + (section + digit) * 10000, 0, 0, 10000
        else:
            power = _POWERS[character]
            section, digit = section + (digit or 1) * power, 0
    # what stands behind a hundred without its own unit is tens: 两百五
    return (total + section + digit * max(1, power // 10)) * 100


# --- words -----------------------------------------------------------------------------------------------------------

_SAYS_NOTHING = re.compile(
    r"推荐|介绍|有没有|有什么|什么|哪[个款种些双台]|可以|能不能|可不可以|一[下款个种双台些]|想[买要]|我要|给我|帮我|请问|看看|看一?下|"
    r"多少钱?|价格|怎么样|怎么卖|好不好|好用|是不是|会不会|找找?|求|预算|便宜一?[点些]|比较|知道|告诉|问问?|现在|还有|需要|那种|这种|"
    r"[这那][个款种双台些]|刚才|它|您|你们?|我|的话|[吗呢啊呀吧哦么嘛]|"
    r"\b(?:is|are|do|does|it|the|a|an|for|of|any|you|have|i|want|need|what|which|how|please|me|show|with|much|price|cost)\b"
)
_RUN = re.compile(r"[一-鿿]+|[a-z0-9][a-z0-9.+-]*")
_NO = re.compile(r"(?:否|无|不|没)")
ASKS_CHEAPER = re.compile(r"便宜一?[点些]|太贵|贵了|更便宜|再便宜|cheaper|too expensive")


def telling(text: str) -> str:
    """The words that could name something of a product: without politeness and question words."""
    if text.startswith("/"):
        return ""
    return _SAYS_NOTHING.sub(" ", re.sub(r"(?<=[0-9]) +(?=[a-z])", "", plain(text)))


def shared(text: str, vocabulary: str) -> list[str]:
    """The longest pieces of ``text``, of two characters and more, that stand in ``vocabulary``; Latin words whole."""
    return list(dict.fromkeys(_shared(telling(text), vocabulary)))


def _shared(text: str, vocabulary: str) -> Iterator[str]:
    for run in _RUN.findall(text):
        if run.isascii():
            if len(run) > 1 and re.search(rf"(?<![a-z0-9]){re.escape(run)}(?![0-9])", vocabulary):
                yield run
            continue
        start = 0
        while start < len(run) - 1:
            end = next((end for end in range(len(run), start + 1, -1) if run[start:end] in vocabulary), start)
            if end > start:
                yield run[start:end]
            start = max(end, start + 1)


def words_of(product: Object) -> str:
    """Its name, and its attributes and their values, a line each."""
    attributes: dict[str, str] = product["attributes"]
    return "\n".join(map(products.plain, [product["name"], *attributes, *attributes.values()]))


def telling_apart(text: str, shelf: Sequence[Object]) -> list[str]:
    """Words of ``text`` that stand on some products of the shelf and not on all; the longest, the surest, first."""
    pages = [words_of(product) for product in shelf]
    found = shared(text, "\n\n".join(pages))
    return sorted((word for word in found if not all(word in page for page in pages)), key=len, reverse=True)


def narrowed(shelf: Sequence[Object], text: str) -> tuple[list[Object], bool]:
    """Those on which as many as can be had of the telling words of ``text`` stand; and whether all do."""
    words = telling_apart(text, shelf)
    for kept in range(len(words), 0, -1):
        some = words[:kept]
        fit = [one for one in shelf if all(word in words_of(one) and not says_no(one, word) for word in some)]
        if fit:
            return fit, kept == len(words)
    return list(shelf), not words


def says_no(product: Object, word: str) -> bool:
    """``防水：否`` is no answer to 防水."""
    attributes: dict[str, str] = product["attributes"]
    return any(word in plain(name) and _NO.match(value) for name, value in attributes.items())


# --- search ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wanted:
    categories: tuple[str, ...]
    brand: str | None
    budget: Budget | None
    text: str  # what was said besides

    @property
    def names_a_shelf(self) -> bool:
        return bool(self.categories or self.brand)


@dataclass(frozen=True, slots=True)
class Found:
    ids: tuple[str, ...]
    exact: bool  # else the nearest: not everything that was wanted holds
    words: tuple[str, ...] = ()  # that were told, and stand on the page of each


async def read_wanted(base: GraphKnowledgeBase, turn: Turn) -> Wanted:
    text = "" if turn.tapped else turn.text
    budget, rest = read_budget(text)
    brand = turn.first("brand")
    categories = tuple(dict.fromkeys(map(str, turn.entities.get("category", ()))))
    if not categories:
        categories = tuple(await categories_called(base, rest))
    for name in (*categories, *([brand] if brand else [])):
        rest = re.sub(re.escape(name), " ", rest, flags=re.IGNORECASE)
    return Wanted(categories, str(brand) if brand else None, budget, rest)


async def categories_called(base: GraphKnowledgeBase, text: str) -> list[str]:
    """A category may be called by one end of its name: 平板 for 平板电脑."""
    names = [category["name"] for category in await base.get_objects("category", [], CATEGORIES)]
    return await asyncio.to_thread(_called, names, text)


def _called(names: Sequence[str], text: str) -> list[str]:
    ends = {name: {end for size in range(2, len(name) + 1) for end in (name[:size], name[-size:])} for name in names}
    said = telling(text)
    longest = max((len(end) for some in ends.values() for end in some if end in said), default=0)
    return [name for name, some in ends.items() if any(len(end) == longest and end in said for end in some)]


async def search(base: GraphKnowledgeBase, wanted: Wanted, limit: int) -> Found:
    """What is wanted; where nothing is, as many of the words as can be had, and last of all another price."""
    shelf = await _find(base, wanted, None, (), SHELF)
    words = await asyncio.to_thread(telling_apart, wanted.text, shelf)
    for budget in dict.fromkeys([wanted.budget, None]):
        for kept in range(len(words), -1, -1):
            some = words[:kept]
            found = await _find(base, wanted, budget, some, max(LOOKED_AT, limit))
            fit = [one for one in found if not any(says_no(one, word) for word in some)]
            if fit:
                exact = budget == wanted.budget and kept == len(words)
                return Found(tuple(one["id"] for one in fit[:limit]), exact, tuple(some))
    return Found((), False)


async def _find(
    base: GraphKnowledgeBase, wanted: Wanted, budget: Budget | None, words: Sequence[str], limit: int
) -> list[Object]:
    constraints: list[dict[str, Any]] = [{"name": "word", "value": word} for word in words]
    if wanted.brand:
        constraints.append({"name": "brand", "value": wanted.brand})
    if budget:
        constraints.append({"name": "min_cents", "value": budget.min_cents})
        constraints.append({"name": "max_cents", "value": budget.max_cents})
    shelves = [[{"name": "category", "value": name}] for name in wanted.categories] or [[]]
    found = [one for shelf in shelves for one in await base.get_objects("product", [*constraints, *shelf], limit)]
    return sorted(found, key=lambda one: (not one["in_stock"], one["price_min_cents"], one["id"]))[:limit]


def made_by(brand: str, name: str) -> tuple[str, str]:
    """Brand and model, by which other pages call the product."""
    return brand, next(iter(name.removeprefix(brand).split()), name)


async def companions(base: GraphKnowledgeBase, product: Object, categories: Sequence[str], limit: int) -> list[str]:
    """What goes with the product although nobody has paired them: pages that name its brand and model."""
    words = made_by(product["brand"], product["name"])
    found = await _find(base, Wanted(tuple(categories), None, None, ""), None, words, SHELF)
    return [one["id"] for one in found if one["category"] != product["category"]][:limit]
