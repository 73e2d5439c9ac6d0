"""Values that follow a rule, in normalised text: numbers of orders, tickets and phones, tax numbers, e-mail addresses,
sizes, quantities, what points at something, and companies.

Readers go over a message one after another, the surest first. What one has claimed is cut out before the next reads, so
that no character is heard twice: the digits of an order are never a tax number's, those of a phone never a quantity.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from bot import patterns, spelling
from bot.spelling import DIGITS


class Find(NamedTuple):
    entity: str
    start: int
    end: int
    value: str | int
    weak: bool = False  # gives way to a stronger find of its kind


class Claim(NamedTuple):
    """``text[start:end]`` is spoken for: by ``finds``, or by what is none of ours (the number of a parcel)."""

    start: int
    end: int
    finds: tuple[Find, ...] = ()


CUT = "\0"

_SAID = patterns.load(
    "values",
    *("order", "ticket", "named_ticket", "named_code", "named_order", "mobile", "named_tax", "named_tail"),
    *("tail_behind", "four_digits", "number", "before_amounts", "season", "polite"),
    *("size", "quantity", "ordinal", "mention", "company", "invoice_detail"),
)
_WAYBILL = patterns.load("waybill", "parcel_number")["parcel_number"]
_EMAIL = re.compile(r"(?<![a-z0-9_.+-])[a-z0-9_.+-]+ ?@ ?[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}")
_TAX_RUNS = re.compile("[0-9a-z]+(?:[ –—_-][0-9a-z]+)*")
_TAX_LENGTHS = (18, 15, 20, 17)  # today's first
_INSIDE_ADDRESS = re.compile("[0-9a-z][/=?&@._]$")  # of a web page
_SIZES = ("number", "named", "worn", "alone", "letters", "letter")
_LARGER = frozenset({"larger", "large", "up", "bigger"})
_ORDINAL_WORDS = {"first": 1, "second": 2, "third": 3, "last": -1}


def _digits(text: str) -> str:
    """The digits that ``text`` spells, in ASCII: "五六 7 8" → "5678"."""
    return "".join(str(DIGITS.get(c, c)) for c in text if c in DIGITS or c.isdecimal())


def _count(text: str) -> int:
    """What the figures of a pattern say: "12", "十二", "二十"."""
    return int(spelling.number(text) or 0)


def _group(match: re.Match[str]) -> str:
    """The name of the group that took part, of a pattern whose alternatives have one each."""
    return match.lastgroup or ""


def _claim(entity: str, match: re.Match[str], value: str | int, group: str | int = 0) -> Claim:
    """The whole of ``match``, names and all; the value stands in ``group``."""
    return Claim(*match.span(), (Find(entity, *match.span(group), value),))


def _number(written: str, most: int) -> tuple[str, int]:
    """The number that groups of digits begin with, and how many characters it takes.

    Short groups belong together ("1234 5678 9012"); one of five digits or more is the whole number (a phone's tail
    may follow: "12345 5678") unless two of six make the twelve that the mall gives."""
    groups = [(match.group(), match.end()) for match in re.finditer("[0-9]+", written)]
    number, end = groups[0]
    if len(number) >= 5:
        halves = len(groups) > 1 and len(number) == len(groups[1][0]) == 6
        return (number + groups[1][0], groups[1][1]) if halves else (number, end)
    for digits, after in groups[1:]:
        if len(number) + len(digits) > most:
            break
        number, end = number + digits, after
    return number, end


def _with_tail(text: str, claim: Claim) -> Claim:
    behind = _SAID["tail_behind"].match(text, claim.end)
    if not behind:
        return claim
    return Claim(
        claim.start,
        behind.end(),
        (*claim.finds, Find("phone_tail", *behind.span("number"), _digits(behind["number"]))),
    )


def _emails(text: str) -> Iterator[Claim]:
    if "@" in text:
        for match in _EMAIL.finditer(text):
            yield _claim("email", match, match.group().replace(" ", ""))


def _orders(text: str) -> Iterator[Claim]:
    for match in _SAID["order"].finditer(text):
        number, length = _number(match["number"], 12)
        end = match.start("number") + length
        if 5 <= len(number) <= 12:
            yield _with_tail(text, Claim(match.start(), end, (Find("order_id", match.start(), end, f"ORD{number}"),)))
        else:
            yield Claim(match.start(), end)  # too short or too long, and nothing else either


def _tickets(text: str) -> Iterator[Claim]:
    for match in _SAID["ticket"].finditer(text):
        number, length = _number(match["number"], 14)
        end = match.start("number") + length
        right = 5 <= len(number) <= 14
        yield Claim(match.start(), end, (Find("ticket_id", match.start(), end, f"RT{number}"),) if right else ())
    for match in _SAID["named_ticket"].finditer(text):
        yield _claim("ticket_id", match, f"RT{match['number']}", "number")


def _codes(text: str) -> Iterator[Claim]:
    for match in _SAID["named_code"].finditer(text):
        yield _claim("account_code", match, _digits(match["number"]), "number")


def _parcels(text: str) -> Iterator[Claim]:
    for match in _WAYBILL.finditer(text):
        yield _claim("waybill", match, match.group())


def _joined(groups: list[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    """What the first of ``groups`` may be together with those behind it; one of 15 characters is enough by itself."""
    number, end = groups[0]
    yield number, end
    for more, after in groups[1:]:
        # words do not belong to it: "91310115 MA1K35X31M please"
        if len(groups[0][0]) >= 15 or len(number) + len(more) > 22 or not (len(more) <= 1 or re.search("[0-9]", more)):
            return
        number, end = number + more, after
        yield number, end


def _tax_number(groups: list[tuple[str, int]], named: bool) -> tuple[str, int] | None:
    """The tax number that ``groups`` begin with, and where it ends."""
    if not re.search("[0-9]", groups[0][0]):
        return None
    candidates = {len(number): (number, end) for number, end in _joined(groups)}
    for length in _TAX_LENGTHS:
        number, end = candidates.get(length, ("", 0))
        if len(re.findall("[0-9]", number)) >= 8:
            return number, end
    wrong = [candidates[length] for length in sorted(candidates) if 10 <= length <= 22]
    return wrong[0] if named and wrong else None


def _groups(match: re.Match[str], group: str | int = 0) -> list[tuple[str, int]]:
    """The runs of letters and digits, each with the place where it ends."""
    return [(run.group(), match.start(group) + run.end()) for run in re.finditer("[0-9a-z]+", match[group])]


def _named_tax_numbers(text: str) -> Iterator[Claim]:
    for match in _SAID["named_tax"].finditer(text):
        if found := _tax_number(_groups(match, "runs"), named=True):
            number, end = found
            yield Claim(match.start(), end, (Find("tax_number", match.start("runs"), end, number.upper()),))


def _tax_numbers(text: str) -> Iterator[Claim]:
    if len(re.findall("[0-9]", text)) < 8:
        return
    for runs in _TAX_RUNS.finditer(text):
        if len(runs.group()) < 15 or _INSIDE_ADDRESS.search(text[max(0, runs.start() - 2) : runs.start()]):
            continue
        groups, taken = _groups(runs), runs.start()
        for place, (group, group_end) in enumerate(groups):
            start, last = group_end - len(group), place + 1
            if start < taken:
                continue
            # dates and other short groups are not put together without a name
            while last < min(len(groups), place + 6) and len(groups[last - 1][0]) >= 4:
                last += 1
            if found := _tax_number(groups[place:last], named=False):
                number, taken = found
                yield Claim(start, taken, (Find("tax_number", start, taken, number.upper()),))


def _mobiles(text: str) -> Iterator[Claim]:
    for match in _SAID["mobile"].finditer(text):
        number = _digits(match[_group(match)])
        whole = () if match["masked"] else (Find("phone", *match.span(), number),)
        yield Claim(*match.span(), (*whole, Find("phone_tail", *match.span(), number[-4:], weak=True)))


def _named_orders(text: str) -> Iterator[Claim]:
    for match in _SAID["named_order"].finditer(text):
        number = _digits(match[_group(match)])
        if len(number) <= 12:
            yield _with_tail(text, _claim("order_id", match, f"ORD{number}", _group(match)))
        else:
            yield Claim(*match.span())


def _named_tails(text: str) -> Iterator[Claim]:
    for match in _SAID["named_tail"].finditer(text):
        tail = _digits(match[_group(match)])
        yield _claim("phone_tail", match, tail * 4 if match["same"] else tail, _group(match))  # "尾号四个8"


def _sizes(text: str) -> Iterator[Claim]:
    for match in _SAID["size"].finditer(text):
        size = next((found for name in _SIZES if (found := match[name])), None)
        if size:
            yield _claim("size", match, size.upper() + (".5" if match["half"] else ""))
        elif spoken := match["spoken"]:
            yield _claim("size", match, str(_count(spoken)))
        else:
            yield _claim("size", match, "larger" if match.lastgroup in _LARGER else "smaller")


def _pointers(text: str) -> Iterator[Claim]:
    for match in _SAID["ordinal"].finditer(text):
        if number := match["number"] or match["listed"] or match["then"]:
            place = _count(number) * (-1 if match["back"] else 1)
        else:
            place = _ORDINAL_WORDS.get(match["word"], -1 if match["last"] else 1)
        claim = _claim("ordinal", match, place)
        if match["above"]:  # the first of a list, or what was said last: who reads it knows whether there is a list
            claim = Claim(*match.span(), (*claim.finds, Find("mention", *match.span(), "last")))
        if place:
            yield claim
    for match in _SAID["mention"].finditer(text):
        yield _claim("mention", match, "last")


def _quantities(text: str) -> Iterator[Claim]:
    for match in _SAID["quantity"].finditer(text):
        if (count := _count(match["number"])) > 0:
            yield _claim("quantity", match, count)


def _companies(text: str) -> Iterator[Claim]:
    for match in _SAID["company"].finditer(text):
        yield _claim("invoice_title", match, match.group())


def _invoice_details(text: str) -> Iterator[Claim]:
    for match in _SAID["invoice_detail"].finditer(text):
        yield _claim("invoice_detail", match, _group(match))


_READERS: tuple[Callable[[str], Iterator[Claim]], ...] = (
    *(
        _emails,
        _orders,
        _tickets,
        _codes,
        _parcels,
        _named_tax_numbers,
        _mobiles,
        _named_orders,
        _tax_numbers,
        _named_tails,
    ),
    *(_sizes, _pointers, _quantities, _companies, _invoice_details),
)


def _bare(text: str, found: set[str]) -> list[Find]:
    """Finds in a message that, but for what was ``found``, holds only numbers: one order number, one phone tail."""
    finds = []
    for match in _SAID["number"].finditer(text):
        number = _digits(match.group())
        if len(number) == 4:
            finds.append(Find("phone_tail", *match.span(), number))
        elif 5 <= len(number) <= 12 and len(number) == len(match.group()):
            finds.append(Find("order_id", *match.span(), f"ORD{number}"))
        else:  # a date, a price, a size: then the others are not ours either
            return []
    kinds = [find.entity for find in finds]
    return [find for find in finds if kinds.count(find.entity) == 1 and find.entity not in found]


def _amid_words(text: str) -> Iterator[Find]:
    """Four digits that could be a phone's tail where one has just been asked for."""
    for match in _SAID["four_digits"].finditer(text):
        before = text[max(0, match.start() - 10) : match.start()]
        if not _SAID["before_amounts"].search(before) and not _SAID["season"].match(text, match.start()):
            yield Find("four_digits", *match.span(), _digits(match.group()))


def read(text: str) -> list[Find]:
    """All values in normalised ``text``, in the order in which they stand."""
    rest = text
    finds: list[Find] = []
    for reader in _READERS:
        for start, end, found in reader(rest):
            if CUT not in rest[start:end]:  # the first to claim a place keeps it
                rest = rest[:start] + CUT * (end - start) + rest[end:]
                finds.extend(found)
    words = rest.replace(CUT, " ")
    if _SAID["polite"].fullmatch(_SAID["number"].sub("", words)):
        finds.extend(_bare(words, {find.entity for find in finds}))
    else:
        finds.extend(_amid_words(rest))
    if any(find.entity == "phone_tail" and not find.weak for find in finds):
        finds = [find for find in finds if not find.weak]
    return sorted(finds, key=lambda find: find.start)
