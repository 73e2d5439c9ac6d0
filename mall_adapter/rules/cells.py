"""Cells of the tables: what may stand in a column, and what a condition lets through, as the engine sees it."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any, get_args, get_type_hints

import zen

from mall_adapter.facts import AfterSalesFacts, OfferFacts
from mall_adapter.rules.faults import NAMES, Bad, meant
from mall_adapter.values import FreightPayer, OfferKind


@dataclass(frozen=True, slots=True)
class Values:
    """What can occur in a column: ``words``, or yes and no, or numbers from ``least`` to ``most``; null where empty."""

    words: tuple[str, ...] | None = None
    yes_no: bool = False
    least: int = 0
    most: int = 0
    whole: bool = True
    empty: bool = False

    @property
    def numbers(self) -> bool:
        return self.words is None and not self.yes_no

    def points(self, borders: Iterable[float]) -> list[Any]:
        """Every word, yes and no; of numbers, ascending, one of each stretch that no border divides.

        A whole number stands for itself and those up to the next point. Of others each border is a point, and one
        between every two. Null comes last.
        """
        values: list[Any]
        if self.words is not None:
            values = list(self.words)
        elif self.yes_no:
            values = [False, True]
        elif self.whole:
            near = {math.floor(border) + step for border in borders for step in (0, 1)} | {self.least}
            values = sorted(value for value in near if self.least <= value <= self.most)
        else:
            inside = sorted({border for border in borders if self.least < border < self.most} | {self.least, self.most})
            values = [*(point for a, b in pairwise(inside) for point in (a, (a + b) / 2)), inside[-1]]
        return values + [None] * self.empty


RANGES = {
    "days_since_delivery": (0, 3650),
    "hours_since_delivery": (0, 87_600),
    "amount_cents": (0, 10**9),
    "request_cents": (0, 10**9),
    "order_cents": (0, 10**9),
    "customer_cents": (0, 10**9),
    "tickets_last_90_days": (0, 10_000),
    "handling_days": (0, 30),
    "paid_cents": (0, 10**9),
    "offers_last_90_days": (0, 10_000),
    "supplier_late_percent": (0, 100),
    "value_cents": (0, 10**6),
    "min_spend_cents": (0, 10**9),
    "valid_days": (0, 365),
}

_UNITS = {
    "days_since_delivery": "days",
    "hours_since_delivery": "hours",
    "amount_cents": "cents",
    "request_cents": "cents",
    "order_cents": "cents",
    "customer_cents": "cents",
    "handling_days": "days",
    "paid_cents": "cents",
}
"""Of columns with numbers; the others count."""


def values_of(name: str, hint: Any) -> Values:
    kinds = get_args(hint) or (hint,)
    empty = type(None) in kinds
    kind = next(kind for kind in kinds if kind is not type(None))
    if issubclass(kind, StrEnum):
        return Values(words=tuple(word.value for word in kind), empty=empty)
    if kind is bool:
        return Values(yes_no=True, empty=empty)
    least, most = RANGES[name]
    return Values(least=least, most=most, whole=kind is int, empty=empty)


SUMS = ("request_cents", "order_cents", "customer_cents")
"""What the policy adds up: of the request, with the other tickets of the order, and of the customer."""

FACTS = {
    name: values_of(name, hint)
    for name, hint in get_type_hints(AfterSalesFacts).items()
    if not name.endswith("_cents_before")
} | {name: values_of(name, int) for name in SUMS}

OFFER_FACTS = {name: values_of(name, hint) for name, hint in get_type_hints(OfferFacts).items()}

_YES_NO = ("allowed", "auto_approve", "freight_back")
_WORDS = {
    "freight_payer": (tuple(FreightPayer), ("这种运费承担", "cannot pay the freight")),
    "offer": (tuple(OfferKind), ("这种安抚方式", "is nothing that can be offered")),
}
"""Outcomes that are one of some words, and what is said of another one."""

NAME = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
MAY_BE_ASKED = ("opened",)


# --- one cell --------------------------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"[^"]*"|'[^']*')|(?P<number>-?\d+(?:\.\d+)?(?![A-Za-z_]))|(?P<name>[A-Za-z_][\w.]*)"""
    r"""|(?P<mark>\.\.|[=!<>]=|[<>,\[\]()$]))""",
    re.ASCII,
)
_WORDS_OF_THE_LANGUAGE = frozenset({"and", "or", "not", "in"})
_TYPOGRAPHY = str.maketrans("“”„‘’「」『』《》、。…", '"""\'\'""""<>,. ') | {
    ord("≤"): "<=",
    ord("≥"): ">=",
    ord("≠"): "!=",
    ord("−"): "-",
    ord("–"): "-",
}


def half_width(cell: str) -> str:
    return unicodedata.normalize("NFKC", cell.translate(_TYPOGRAPHY)).replace("。", ".")


def read_condition(cell: str) -> list[tuple[str, str]]:
    """Kinds and texts of what stands in a condition; raises Bad where it cannot be read."""
    found, at = [], 0
    end = len(cell.rstrip())
    while at < end:
        match = _TOKEN.match(cell, at)
        if not match:
            plain, rest = half_width(cell), cell[at:].strip()[:12]
            if plain != cell:
                try:
                    read_condition(plain)
                except Bad:
                    pass
                else:
                    raise Bad(
                        f"「{cell}」里有中文标点或全角字符，应写成 {plain}",
                        f"{cell!r} has full-width characters; write {plain}",
                    )
            raise Bad(
                f"「{cell}」从「{rest}」起读不懂（文字要加英文双引号，不能写公式）",
                f"{cell!r} cannot be read from {rest!r} on (words stand in quotes; formulas are not allowed)",
            )
        found.append((str(match.lastgroup), match[str(match.lastgroup)]))
        at = match.end()
    return found


def check_condition(field: str, cell: str, values: Values, limits: Mapping[str, int]) -> Iterator[Bad]:
    """What is wrong with a condition by its looks; :func:`check_fits` asks the engine."""
    try:
        tokens = read_condition(cell)
    except Bad as bad:
        words = [word for word in values.words or () if NAMES.get(word) == cell.strip()]
        yield Bad(f'「{cell}」应写 "{words[0]}"', f'{cell!r} is written "{words[0]}"') if words else bad
        return
    for kind, token in tokens:
        if kind == "text":
            yield from _check_text(token[1:-1], values)
        elif kind == "number" and not values.numbers:
            if values.yes_no:
                yield Bad(f"{token} 是数字，这里应写 true 或 false", f"{token} is a number; write true or false")
            else:
                yield Bad(f"{token} 是数字，这一列是文字", f"{token} is a number, and this is a column of words")
        elif kind == "name":
            yield from _check_name(field, token, values, limits)


def _check_text(text: str, values: Values) -> Iterator[Bad]:
    if values.words is not None:
        if text not in values.words:
            chinese, english = meant(text, values.words)
            yield Bad(f"没有“{text}”这个词{chinese}", f'there is no "{text}"{english}')
    elif values.yes_no:
        bare = f"，应写 {text}，不加引号" if text in ("true", "false") else "，应写 true 或 false"
        write = f"write {text} without quotes" if text in ("true", "false") else "write true or false"
        yield Bad(f"“{text}”是文字{bare}", f'"{text}" is a text; {write}')
    else:
        number = half_width(text).strip()
        if re.fullmatch(r"-?\d+(\.\d+)?", number, re.ASCII):
            yield Bad(f"数字加了引号，应写 {number}", f"a number in quotes; write {number}")
        else:
            yield Bad(f"“{text}”是文字，这一列是数字", f'"{text}" is a text, and this is a column of numbers')


def _check_name(field: str, name: str, values: Values, limits: Mapping[str, int]) -> Iterator[Bad]:
    limit = name.removeprefix("limits.")
    if name in _WORDS_OF_THE_LANGUAGE:
        return
    if name in ("true", "false"):
        if not values.yes_no:
            yield Bad(f"这一列不是“是/否”，不能写 {name}", f"this is no column of yes and no; {name} cannot stand here")
    elif name == "null":
        if not values.empty:
            yield Bad("这一列总有值，null 永远不成立", "this column always has a value; null never fits")
    elif values.numbers:
        if limit == name or limit not in limits:
            chinese, english = meant(f"limits.{limit}", [f"limits.{known}" for known in limits])
            yield Bad(f"不认识 {name}{chinese}", f"{name} is unknown{english}")
        elif _UNITS.get(field, "") != unit(limit):
            yield Bad(f"{name} 和这一列的单位不同", f"{name} is of another unit than this column")
    elif limit != name:
        yield Bad(f"{name} 是数字，这一列不是", f"{name} is a number, and this is no column of numbers")
    elif name in (values.words or ()):
        yield Bad(f'文字要加引号，应写 "{name}"', f'a word stands in quotes; write "{name}"')
    elif values.yes_no:
        right = {"yes": "true", "no": "false"}.get(name.lower(), name.lower())
        right = right if right in ("true", "false") else "true / false"
        yield Bad(f"不认识 {name}，应写 {right}", f"{name} is unknown; write {right}")
    else:
        chinese, english = meant(name, values.words or ())
        yield Bad(f"不认识 {name}{chinese}", f"{name} is unknown{english}")


def unit(limit: str) -> str:
    last = limit.rpartition("_")[2]
    return last if last in ("days", "hours", "cents") else ""


def _alternatives(cell: str) -> list[str]:
    """What stands between the commas of a condition, those in brackets and quotes left out."""
    parts, depth = [""], 0
    for piece in re.findall(r""""[^"]*"|'[^']*'|.""", cell, re.DOTALL):
        depth += (piece in "[(") - (piece in "])")
        if piece == "," and not depth:
            parts.append("")
        else:
            parts[-1] += piece
    return parts


def _fits(condition: str, values: Sequence[Any], limits: Mapping[str, int]) -> list[bool]:
    """Which of the values the engine lets through. Raises RuntimeError for what it cannot compile."""
    compiled = zen.compile_unary_expression(condition)

    def fits(value: Any) -> bool:
        try:
            return compiled.evaluate({"$": value, "limits": dict(limits)}) is True
        except RuntimeError:  # it cannot be compared: a table takes that for "does not fit"
            return False

    return [fits(value) for value in values]


def check_fits(cell: str, values: Values, occurring: Sequence[Any], limits: Mapping[str, int]) -> list[bool]:
    """Which values a condition fits; raises Bad where it, or a part of it, fits none."""
    try:
        fits = _fits(cell, occurring, limits)
        parts = _alternatives(cell)
        each = [_fits(part, occurring, limits) for part in parts]
    except RuntimeError:
        raise Bad(f"「{cell}」不是条件", f"{cell!r} is not a condition") from None
    span = ("", "")
    if values.numbers:
        span = f"（可能的值：{values.least} 到 {values.most}）", f" (values go from {values.least} to {values.most})"
    for part, some in zip(parts, each, strict=True):
        if not any(some):
            raise Bad(f"「{part.strip()}」永远不成立{span[0]}", f"{part.strip()!r} can never fit anything{span[1]}")
    if fits != [any(column) for column in zip(*each, strict=True)]:
        first = ", ".join(sorted((part.strip() for part in parts), key=lambda part: part != "null"))
        raise Bad(
            f"「{cell}」里后面的部分不起作用，请写成 {first} 或分成两行",
            f"{cell!r}: what stands behind never counts; write {first}, or two rows",
        )
    return fits


def borders(cells: Iterable[str], limits: Mapping[str, int]) -> set[float]:
    """The numbers that conditions compare with."""
    found: set[float] = set()
    for cell in cells:
        for kind, token in read_condition(cell):
            if kind == "number" and len(token) < 15:
                found.add(float(token))
            elif kind == "name" and token.removeprefix("limits.") in limits:
                found.add(limits[token.removeprefix("limits.")])
    return found


def read_limit(name: str, value: Any) -> int:
    if not isinstance(value, str) or not value.strip():
        raise Bad("应写整数", "a whole number is expected")
    text = value.strip()
    plain = half_width(text).strip("\"' ")
    if not re.fullmatch(r"0|[1-9]\d{0,11}", text, re.ASCII):
        hint = (f"，应写 {plain}", f"; write {plain}") if re.fullmatch(r"[1-9]\d{0,11}", plain, re.ASCII) else ("", "")
        raise Bad(f"「{text}」不是整数{hint[0]}", f"{text!r} is no whole number{hint[1]}")
    least, most = {"days": (1, 3650), "hours": (1, 87_600), "cents": (0, 10**9)}.get(unit(name), (1, 10_000))
    if not least <= int(text) <= most:
        raise Bad(f"{text} 超出范围，应在 {least} 到 {most} 之间", f"{text} is not between {least} and {most}")
    return int(text)


def read_outcome(field: str, cell: str) -> Any:
    """Raises Bad where the cell is no plain value of its column."""
    text = cell.strip()
    if not text:
        raise Bad("不能空着", "it is empty")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        plain = half_width(text)
        lower = plain.lower().strip("\"' ")
        right = lower if lower in ("true", "false") else plain
        for write in (right, json.dumps(lower)):
            try:
                read_outcome(field, write) if write != text else json.loads("")
            except (Bad, ValueError):
                continue
            raise Bad(f"「{text}」应写成 {write}", f"{text!r} should be {write}") from None
        raise Bad(
            f"「{text}」不是普通的值（文字加英文双引号，不能写公式）",
            f"{text!r} is not a plain value (words stand in quotes; formulas are not allowed)",
        ) from None
    if field in _YES_NO:
        if not isinstance(value, bool):
            raise Bad(f"{text} 不是“是/否”，应写 true 或 false", f"{text} is not yes or no; write true or false")
    elif field in RANGES:
        least, most = RANGES[field]
        days = unit(field) == "days"
        if not isinstance(value, int) or isinstance(value, bool):
            raise Bad(f"{text} 不是整数{'天数' * days}", f"{text} is no whole number{' of days' * days}")
        if not least <= value <= most:
            raise Bad(
                f"{value} {'天' * days}超出范围，应在 {least} 到 {most} 之间",
                f"{value}{' days' * days} is not from {least} to {most}",
            )
    elif field == "missing_facts":
        if not isinstance(value, list) or len(value) > 1 or not all(one in MAY_BE_ASKED for one in value):
            raise Bad(f'{text} 应写 [] 或 ["opened"]', f'{text} should be [] or ["opened"]')
    elif not isinstance(value, str):
        raise Bad(f"{text} 不是文字，要加引号", f"{text} is no text; put it in quotes")
    elif field in _WORDS:
        words, wrong = _WORDS[field]
        if value not in words:
            chinese, english = meant(value, words)
            raise Bad(f"没有“{value}”{wrong[0]}{chinese}", f"{value!r} {wrong[1]}{english}")
    elif not NAME.fullmatch(value):
        raise Bad(f"“{value}”只能用小写字母、数字和下划线", f"{value!r}: lower-case letters, digits and _ only")
    return value
