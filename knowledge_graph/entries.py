"""Reads the answers of the shop from files that trainers edit: YAML, CSV and Excel.

A YAML file is ``topic: …`` and ``entries: [{id, kind, title, answer, valid_from, valid_until, about, ask}, …]``. A
table has a row for each entry and the columns :data:`COLUMNS`; several values in a cell stand on lines of their own or
between ``|``, or in several columns of the same name. ``context`` is one of :data:`CONTEXT`. ``shop.yml`` names the
facts of the shop that answers mention as ``{name}``.

One bad file, or one bad entry of it, is its own problem: it is told with its place, and the others are read all the
same. Nothing that lies in the folder is passed over in silence, but what is hidden.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from knowledge_graph.files import (
    COLUMNS,
    KINDS,
    LISTS,
    TOPICS,
    Fault,
    Raw,
    content_of,
    files_in,
    lines_of,
    load_yaml,
    named,
    read,
)

CONTEXT = re.compile(
    r"order|ticket|freight|return \+ (?P<reason>[a-z_]+)|(?P<since>paid|delivered) \+ (?P<days>[a-z][a-z0-9_]*)"
)
"""What of the customer's own an answer is told with: how the order or the request stands, who pays the freight of the
request, what the after-sales rules say to returning the order for a reason (``return + quality``), or whether so many
days have passed since the order was paid or delivered (``paid + price_days``)."""
FACT_NAME = re.compile(r"[a-z][a-z0-9_]*")
PLACEHOLDER = re.compile(rf"\{{({FACT_NAME.pattern})\}}")
MOST = {"hours": 8_760, "days": 3_650, "months": 120, "years": 100}
COUNTED = (*MOST, "yuan", "cm", "pieces", "points", "floors", "tries")
"""How a name of the shop's ends whose value is a number, and the most that it can be."""
ERROR_VALUE = re.compile(r"#(?:[A-Z0-9/_]+[!?]|N/A)")
"""What a spreadsheet shows instead of a value: ``#NAME?`` where a text begins with ``=`` or ``-``."""
UNREADABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd]")
"""What no text holds but one that was damaged on its way."""

SHOP = ("shop.yml", "shop.yaml")
LONGEST = 32_767
"""Characters of a value: as many as a cell of Excel can hold."""
TOLD = 20
"""Problems of one file that are told; the rest is counted."""

Fact = str | int


@dataclass(frozen=True, slots=True)
class Entry:
    id: str
    kind: str
    topic: str
    title: str
    answer: str
    ask: tuple[str, ...]
    facts: Mapping[str, Fact]  # those that the answer and the context mention
    valid_from: date | None = None
    valid_until: date | None = None
    context: str | None = None
    categories: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    brands: tuple[str, ...] = ()
    suppliers: tuple[str, ...] = ()
    file: str = field(default="", compare=False)  # "knowledge/delivery.csv": its answers stay while it is broken

    @property
    def text(self) -> str:
        """The answer with its facts in their places."""
        return told(self.answer, self.facts)

    @property
    def version(self) -> str:
        """Another one as soon as anything is different."""
        text = json.dumps(asdict(self), ensure_ascii=False, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def told(answer: str, facts: Mapping[str, Fact]) -> str:
    return PLACEHOLDER.sub(lambda match: str(facts[match[1]]), answer)


@dataclass(frozen=True, slots=True)
class Problem:
    """``row`` as a person counts it: of a table its rows, the head being 1; of YAML its lines; 0 for the whole file."""

    file: str  # with its folder: "knowledge/delivery.csv"
    row: int
    column: str
    message: str
    left_out: bool = True  # else it was read, and somebody should look at it
    sheet: str = ""  # of a workbook with several

    def __str__(self) -> str:
        sheet = f"【{self.sheet}】" if self.sheet else ""
        row = f" 第 {self.row} 行" if self.row else ""
        english = f" (row {self.row})" if self.row else ""
        return f"{self.file}{sheet}{row}{f' {self.column}' if self.column else ''}{english}：{self.message}"


@dataclass(frozen=True, slots=True)
class Content:
    """``kept``: how the names begin of the files whose answers stay as they are in the graph, because it cannot be told
    what is missing from them and what is only mistyped."""

    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...]
    kept: frozenset[str] = frozenset()


class _Doubtful(Exception):
    """The entry mentions a fact that a file which cannot be read may say."""


def read_folder(folder: Path, facts: Mapping[str, Fact]) -> Content:
    """Everything in ``folder``; see :func:`read_files`."""
    return read_files(files_in(folder), facts)


def read_files(paths: Sequence[Path], facts: Mapping[str, Fact]) -> Content:
    """``facts`` are known from elsewhere (the rules' numbers); ``shop.yml`` adds its own, the last of several wins."""
    shops = [path for path in paths if path.name.lower() in SHOP]
    known = _Facts(facts)
    faults = defaultdict[Path, list[Fault]](list)
    kept = set[str]()
    for shop in shops:
        faults[shop] += known.add(shop)
    entries: dict[str, Entry] = {}
    places: dict[str, tuple[Path, Raw]] = {}
    for path in paths:
        if path in shops:
            continue
        name = named(path)
        for raw in read(path):
            if isinstance(raw, Fault):
                faults[path].append(raw)
                continue
            try:
                entry = _entry(raw.values, known, name)
                if entry.id in entries:
                    other = named(places[entry.id][0])
                    raise Fault("id", f"{entry.id} 在 {other} 里已经有了，编号不能重复 / this id is used twice")
                entries[entry.id], places[entry.id] = entry, (path, raw)
            except Fault as error:
                error.row, error.sheet = raw.rows.get(error.column, raw.row), raw.sheet
                faults[path].append(error)
            except _Doubtful:
                kept.add(name)
    for path, fault in _alike(entries, places):
        faults[path].append(fault)
    for path, found in faults.items():
        if any(fault.left_out for fault in found):
            kept |= {named(path), f"{path.name}/"}  # the latter where it is the folder that cannot be listed
    return Content(tuple(entries.values()), tuple(_problems(faults)), frozenset(kept))


def _alike(entries: Mapping[str, Entry], places: Mapping[str, tuple[Path, Raw]]) -> Iterator[tuple[Path, Fault]]:
    """Titles that customers could not tell from each other."""
    first: dict[str, str] = {}
    for entry in entries.values():
        if (other := first.setdefault(entry.title, entry.id)) != entry.id:
            (path, raw), (twin, twins) = places[entry.id], places[other]
            where = f"{named(twin)} 第 {twins.rows.get('title', twins.row)} 行（{other}）"
            words = f"标题和 {where} 一样，顾客分不清 / two answers have this title"
            yield path, Fault("title", words, raw.rows.get("title", raw.row), left_out=False, sheet=raw.sheet)


def _problems(faults: Mapping[Path, Sequence[Fault]]) -> Iterator[Problem]:
    for path, found in faults.items():
        found = sorted(found, key=lambda one: not one.left_out)
        for one in found[:TOLD]:
            column, message, sheet = (UNREADABLE.sub("?", text)[:200] for text in (one.column, one.message, one.sheet))
            yield Problem(named(path), one.row, column, message, one.left_out, sheet)
        if rest := found[TOLD:]:
            words = f"还有 {len(rest)} 处 / {len(rest)} more"
            yield Problem(named(path), 0, "", words, left_out=any(one.left_out for one in rest))


class _Facts:
    """What answers may mention. ``doubtful``: names whose last value cannot be read; an older one may be wrong."""

    def __init__(self, fixed: Mapping[str, Fact]) -> None:
        self._fixed = fixed
        self._values = dict(fixed)
        self._doubtful = set[str]()
        self._unread = False

    def add(self, path: Path) -> list[Fault]:
        """Takes over what can be read of a ``shop.yml``; returns what is wrong with it."""
        try:
            content, node = load_yaml(content_of(path))
            if not isinstance(content, dict):
                raise Fault("", "应该是“名字: 值” / names and values are expected")
        except Fault as error:
            self._doubtful |= self._values.keys() - self._fixed.keys()
            self._unread = True
            error.message += "；提到店铺数字的答案保持原样"
            return [error]
        faults = []
        base = dict(self._values) if self._values.keys() > self._fixed.keys() else {}  # which an own file may replace
        for name, value in content.items():
            try:
                self._values[name] = _fact(name, value, self._fixed, base)
                self._doubtful.discard(name)
            except Fault as error:
                error.row = lines_of(node).get(error.column, 0)
                faults.append(error)
                meant = {error.column, *get_close_matches(error.column, base, 1, 0.85)}
                self._doubtful |= meant - self._fixed.keys()
        return faults

    @property
    def names(self) -> Collection[str]:
        return self._values.keys()

    def get(self, name: str) -> Fact | None:
        """None for what nobody says. Raises _Doubtful."""
        if name in self._doubtful or (self._unread and name not in self._values):
            raise _Doubtful
        return self._values.get(name)


def _fact(name: object, value: object, facts: Mapping[str, Fact], base: Mapping[str, Fact]) -> Fact:
    """Raises Fault for a name or a value that cannot be."""
    told = str(name)
    if not isinstance(name, str) or not FACT_NAME.fullmatch(name):
        raise Fault(told, "名字只能用小写字母、数字和下划线 / lower-case letters, digits and _ only")
    if name in facts:
        raise Fault(name, f"{name} 由规则给出，请不要再写 / {name} comes from the rules")
    if not isinstance(value, str | int) or isinstance(value, bool) or not str(value).strip():
        raise Fault(name, "值应该是整数或文字 / a value is a whole number or a text")
    number = unicodedata.normalize("NFKC", str(value)).strip()
    counted = name.rpartition("_")[2] in COUNTED or isinstance(base.get(name), int)
    if isinstance(value, str) and counted and re.fullmatch(r"-?\d+(\.\d+)?", number):
        raise Fault(name, f"{value} 应写成数字 {number}，不加引号 / write the number {number}, without quotes")
    if isinstance(value, str) and isinstance(base.get(name), int):
        raise Fault(name, f"这里原来是数字 {base[name]} / a number is expected, as {base[name]} was")
    if isinstance(value, int) and not 0 <= value <= MOST.get(name.rpartition("_")[2], 10_000_000):
        raise Fault(name, f"{value} 超出范围 / {value} is out of range")
    if base and name not in base and (close := get_close_matches(name, base, 1, 0.85)):
        raise Fault(name, f"没有 {name}，是不是 {close[0]}？ / there is no {name}; did you mean {close[0]}?")
    return value


# --- one entry -------------------------------------------------------------------------------------------------------


def _entry(raw: Mapping[str, Any], facts: _Facts, file: str) -> Entry:
    """Raises Fault for the first thing that is wrong, or _Doubtful."""
    for name in raw:
        if name not in COLUMNS:
            raise Fault(str(name), "没有这一项，写错了吗？ / there is no such field")
    texts: dict[str, Any] = {name: _text(raw, name) for name in ("id", "kind", "topic", "title", "answer")}
    if not re.fullmatch("[a-z0-9_]+", texts["id"]):
        raise Fault("id", "只能用小写字母、数字和下划线 / lower-case letters, digits and _ only")
    if texts["kind"] not in KINDS:
        raise Fault("kind", "应该是 faq 或 policy / faq or policy is expected")
    if texts["topic"] not in TOPICS:
        raise Fault("topic", f"没有 {texts['topic']} 这个主题 / there is no such topic")
    mentioned = PLACEHOLDER.findall(texts["answer"])
    for name in mentioned:
        if facts.get(name) is None:
            close = get_close_matches(name, facts.names, 1, 0.7)
            chinese, english = (f"，是不是 {{{close[0]}}}？", f"; did you mean {close[0]}?") if close else ("", "")
            raise Fault("answer", f"{{{name}}} 没有定义，请写进 shop.yml{chinese} / this fact is unknown{english}")
    if re.search(r"[{}]", PLACEHOLDER.sub("", texts["answer"])):
        raise Fault("answer", "花括号不成对 / a brace without a name")
    lists: dict[str, Any] = {name: _list(raw, name) for name in LISTS}
    if not lists["ask"]:
        raise Fault("ask", "至少要有一种问法 / at least one way of asking is needed")
    valid_from, valid_until = _date(raw, "valid_from"), _date(raw, "valid_until")
    if valid_from and valid_until and valid_until < valid_from:
        raise Fault("valid_until", "结束日期早于开始日期 / it ends before it begins")
    context = _text(raw, "context") if raw.get("context") else None
    if context:
        match = CONTEXT.fullmatch(context)
        if not match:
            raise Fault(
                "context",
                "应该像 order、ticket、freight、return + quality、paid + price_days / like one of these",
            )
        if name := match["days"]:
            if not isinstance(facts.get(name), int):
                raise Fault("context", f"{name} 不是已知的天数 / this is no known number of days")
            mentioned.append(name)
    told_of = {name: fact for name in mentioned if (fact := facts.get(name)) is not None}
    return Entry(
        **texts, **lists, facts=told_of, valid_from=valid_from, valid_until=valid_until, context=context, file=file
    )


def _text(raw: Mapping[str, Any], name: str) -> str:
    value = raw.get(name)
    text = _plain(name, value).strip() if value is not None else ""
    if not text:
        raise Fault(name, "不能为空 / it is empty")
    return text


def _list(raw: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = raw.get(name) or []
    if not isinstance(values, list):
        raise Fault(name, "应该是列表 / a list is expected")
    texts = [_plain(name, value).strip() for value in values]
    return tuple(dict.fromkeys(text for text in texts if text))


def _plain(name: str, value: Any) -> str:
    if isinstance(value, list | dict):
        raise Fault(name, "应该是文字 / a text is expected")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Fault(name, f"{value} 不是文字，请加引号 / not a text; put it in quotes")
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    if ERROR_VALUE.fullmatch(text.strip()):
        words = f"{text.strip()} 是表格算不出来的公式；以 = 或 - 开头的文字，前面要加一个英文单引号"
        raise Fault(name, f"{words} / a formula without a value")
    if UNREADABLE.search(text):
        raise Fault(name, "里面有损坏的字 / a damaged character")
    if len(text) > LONGEST:
        raise Fault(name, f"有 {len(text)} 个字，最多 {LONGEST} 个 / too long")
    return text


def _date(raw: Mapping[str, Any], name: str) -> date | None:
    value = raw.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    if match := re.fullmatch(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})", str(value).strip()):
        try:
            return date(int(match[1]), int(match[2]), int(match[3]))
        except ValueError:
            pass
    raise Fault(name, "日期应该像 2026-01-31 / a date looks like 2026-01-31")
