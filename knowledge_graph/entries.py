"""Reads the answers of the shop from files that trainers edit: YAML, CSV and Excel.

A YAML file is ``topic: …`` and ``entries: [{id, kind, title, answer, valid_from, valid_until, about, ask}, …]``. A
table has a row for each entry and the columns :data:`COLUMNS`; several values in a cell stand on lines of their own or
between ``|``. ``context`` is one of :data:`CONTEXT`. ``shop.yml`` names the facts of the shop that answers mention as
``{name}``.

What is wrong with an entry is reported with its place; the other entries are read all the same.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import yaml
from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

TOPICS = (
    *("refund", "return_exchange", "delivery", "order_change", "price_promo", "coupon_points_member"),
    *("product_question", "feature_comparison", "invoice", "payment", "contact_human", "complaint", "review"),
    *("account_other", "presale", "card_energy"),
)
KINDS = ("faq", "policy")
TARGETS = ("categories", "products", "brands", "suppliers")
REQUIRED = ("id", "kind", "topic", "title", "answer", "ask")
COLUMNS = (*REQUIRED, "valid_from", "valid_until", "context", *TARGETS)
LISTS = ("ask", *TARGETS)
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

Fact = str | int
Raw = Mapping[str, Any]


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
    """``row`` as a spreadsheet numbers it, the head being 1; in YAML the number of the entry; 0 for the whole file."""

    file: str
    row: int
    column: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file} 第 {self.row} 行 {self.column}" if self.row else self.file
        return f"{where}：{self.message}"


@dataclass(frozen=True, slots=True)
class Content:
    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...]


class _Bad(Exception):
    def __init__(self, column: str, message: str) -> None:
        super().__init__(message)
        self.column = column


def read_folder(folder: Path, facts: Mapping[str, Fact]) -> Content:
    """Everything in ``folder``; see :func:`read_files`."""
    return read_files(files_in(folder), facts)


def files_in(folder: Path) -> list[Path]:
    """Those that may hold answers; none where there is no such folder."""
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in found if path.suffix in READERS and not path.name.startswith(("~$", "."))]  # Excel's locks


def read_files(paths: Sequence[Path], facts: Mapping[str, Fact]) -> Content:
    """``facts`` are known from elsewhere (the rules' numbers); ``shop.yml`` adds its own, the last of several wins."""
    problems: list[Problem] = []
    known = dict(facts)
    shops = [path for path in paths if path.name == "shop.yml"]
    for shop in shops:
        try:
            names, wrong = _shop(shop, facts, known if shop != shops[0] else {})
            known |= names
            problems += wrong
        except _Bad as error:
            problems.append(Problem(shop.name, 0, error.column, str(error)))
    entries: dict[str, Entry] = {}
    for path in paths:
        if path in shops:
            continue
        try:
            for row, raw in READERS[path.suffix](path):
                try:
                    entry = _entry(raw, known)
                    if entry.id in entries:
                        raise _Bad("id", f"{entry.id} 已经有了，编号不能重复 / this id is used twice")
                    entries[entry.id] = entry
                except _Bad as error:
                    problems.append(Problem(path.name, row, error.column, str(error)))
        except _Bad as error:
            problems.append(Problem(path.name, 0, error.column, str(error)))
    return Content(tuple(entries.values()), tuple(problems))


# --- files -----------------------------------------------------------------------------------------------------------


def _load_yaml(path: Path) -> Any:
    try:
        return yaml.load(path.read_text("utf-8"), yaml.CSafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"第 {mark.line + 1} 行附近" if mark else "编码不是 UTF-8"
        raise _Bad("", f"文件读不懂，{where} / not readable as YAML in UTF-8") from None


def _shop(path: Path, facts: Mapping[str, Fact], base: Mapping[str, Fact]) -> tuple[dict[str, Fact], list[Problem]]:
    """What can be used of it, and what is wrong; ``base`` has the numbers that an operator's own file may replace."""
    content = _load_yaml(path)
    if not isinstance(content, dict):
        raise _Bad("", "应该是“名字: 值” / names and values are expected")
    good: dict[str, Fact] = {}
    problems = []
    for name, value in content.items():
        try:
            good[name] = _fact(name, value, facts, base)
        except _Bad as error:
            problems.append(Problem(path.name, 0, error.column, f"{error.column}：{error}"))
    return good, problems


def _fact(name: object, value: object, facts: Mapping[str, Fact], base: Mapping[str, Fact]) -> Fact:
    """Raises _Bad for a name or a value that cannot be."""
    told = str(name)
    if not isinstance(name, str) or not FACT_NAME.fullmatch(name):
        raise _Bad(told, "名字只能用小写字母、数字和下划线 / lower-case letters, digits and _ only")
    if name in facts:
        raise _Bad(name, f"{name} 由规则给出，请不要再写 / {name} comes from the rules")
    if not isinstance(value, str | int) or isinstance(value, bool) or not str(value).strip():
        raise _Bad(name, "值应该是整数或文字 / a value is a whole number or a text")
    number = unicodedata.normalize("NFKC", str(value)).strip()
    counted = name.rpartition("_")[2] in COUNTED or isinstance(base.get(name), int)
    if isinstance(value, str) and counted and re.fullmatch(r"-?\d+(\.\d+)?", number):
        raise _Bad(name, f"{value} 应写成数字 {number}，不加引号 / write the number {number}, without quotes")
    if isinstance(value, str) and isinstance(base.get(name), int):
        raise _Bad(name, f"这里原来是数字 {base[name]} / a number is expected, as {base[name]} was")
    if isinstance(value, int) and not 0 <= value <= MOST.get(name.rpartition("_")[2], 10_000_000):
        raise _Bad(name, f"{value} 超出范围 / {value} is out of range")
    if base and name not in base and (close := get_close_matches(name, base, 1, 0.85)):
        raise _Bad(name, f"没有 {name}，是不是 {close[0]}？ / there is no {name}; did you mean {close[0]}?")
    return value


def _yaml(path: Path) -> Iterator[tuple[int, Raw]]:
    content = _load_yaml(path)
    if not isinstance(content, dict) or not isinstance(content.get("entries"), list):
        raise _Bad("", "应该有 topic 和 entries / topic and entries are expected")
    for number, raw in enumerate(content["entries"], 1):
        raw = raw if isinstance(raw, dict) else {}
        about = raw.get("about") or {}
        rest = {name: value for name, value in raw.items() if name != "about"}
        yield number, {"topic": content.get("topic")} | rest | (about if isinstance(about, dict) else {"about": about})


def _csv(path: Path) -> Iterator[tuple[int, Raw]]:
    content = path.read_bytes()
    for encoding in ("utf-8-sig", "gb18030"):  # Excel in China writes the second
        try:
            text = content.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    else:
        raise _Bad("", "编码应该是 UTF-8 或 GBK / neither UTF-8 nor GBK")
    yield from _table(list(csv.reader(io.StringIO(text, newline=""))))


def _excel(path: Path) -> Iterator[tuple[int, Raw]]:
    try:
        book = load_workbook(path, read_only=True, data_only=True)
    except (BadZipFile, InvalidFileException, KeyError, ValueError):
        raise _Bad("", "不是 Excel 文件 / not an Excel file") from None
    try:
        yield from _table([list(row) for row in book.worksheets[0].iter_rows(values_only=True)])
    finally:
        book.close()


def _table(rows: Sequence[Sequence[Any]]) -> Iterator[tuple[int, Raw]]:
    """The first sheet: names of columns in its first row, then an entry a row."""
    head = [str(cell or "").strip() for cell in rows[0]] if rows else []
    if missing := [name for name in REQUIRED if name not in head]:
        raise _Bad(missing[0], f"缺少这一列：{'、'.join(missing)} / columns are missing")
    for number, row in enumerate(rows[1:], 2):
        cells = {name: cell for name, cell in zip(head, row, strict=False) if name}
        if any(str(cell or "").strip() for cell in cells.values()):
            yield number, {name: _split(cell) if name in LISTS else cell for name, cell in cells.items()}


READERS: dict[str, Callable[[Path], Iterator[tuple[int, Raw]]]] = {".yml": _yaml, ".csv": _csv, ".xlsx": _excel}


def _split(cell: Any) -> list[str]:
    return re.split(r"[\n|]", str(cell)) if cell is not None else []


# --- one entry -------------------------------------------------------------------------------------------------------


def _entry(raw: Raw, facts: Mapping[str, Fact]) -> Entry:
    """Raises _Bad for the first thing that is wrong."""
    for name in raw:
        if name not in COLUMNS:
            raise _Bad(str(name), "没有这一项，写错了吗？ / there is no such field")
    texts: dict[str, Any] = {name: _text(raw, name) for name in ("id", "kind", "topic", "title", "answer")}
    if not re.fullmatch("[a-z0-9_]+", texts["id"]):
        raise _Bad("id", "只能用小写字母、数字和下划线 / lower-case letters, digits and _ only")
    if texts["kind"] not in KINDS:
        raise _Bad("kind", "应该是 faq 或 policy / faq or policy is expected")
    if texts["topic"] not in TOPICS:
        raise _Bad("topic", f"没有 {texts['topic']} 这个主题 / there is no such topic")
    mentioned = PLACEHOLDER.findall(texts["answer"])
    for name in mentioned:
        if name not in facts:
            close = get_close_matches(name, facts, 1, 0.7)
            chinese, english = (f"，是不是 {{{close[0]}}}？", f"; did you mean {close[0]}?") if close else ("", "")
            raise _Bad("answer", f"{{{name}}} 没有定义，请写进 shop.yml{chinese} / this fact is unknown{english}")
    if re.search(r"[{}]", PLACEHOLDER.sub("", texts["answer"])):
        raise _Bad("answer", "花括号不成对 / a brace without a name")
    lists: dict[str, Any] = {name: _list(raw, name) for name in LISTS}
    if not lists["ask"]:
        raise _Bad("ask", "至少要有一种问法 / at least one way of asking is needed")
    valid_from, valid_until = _date(raw, "valid_from"), _date(raw, "valid_until")
    if valid_from and valid_until and valid_until < valid_from:
        raise _Bad("valid_until", "结束日期早于开始日期 / it ends before it begins")
    context = _text(raw, "context") if raw.get("context") else None
    if context:
        match = CONTEXT.fullmatch(context)
        if not match:
            raise _Bad(
                "context",
                "应该像 order、ticket、freight、return + quality、paid + price_days / like one of these",
            )
        if name := match["days"]:
            if not isinstance(facts.get(name), int):
                raise _Bad("context", f"{name} 不是已知的天数 / this is no known number of days")
            mentioned.append(name)
    mentioned_facts = {name: facts[name] for name in mentioned}
    return Entry(
        **texts, **lists, facts=mentioned_facts, valid_from=valid_from, valid_until=valid_until, context=context
    )


def _text(raw: Raw, name: str) -> str:
    value = raw.get(name)
    text = _plain(name, value).strip() if value is not None else ""
    if not text:
        raise _Bad(name, "不能为空 / it is empty")
    return text


def _list(raw: Raw, name: str) -> tuple[str, ...]:
    values = raw.get(name) or []
    if not isinstance(values, list):
        raise _Bad(name, "应该是列表 / a list is expected")
    texts = [_plain(name, value).strip() for value in values]
    return tuple(dict.fromkeys(text for text in texts if text))


def _plain(name: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _Bad(name, f"{value} 不是文字，请加引号 / not a text; put it in quotes")
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _date(raw: Raw, name: str) -> date | None:
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
    raise _Bad(name, "日期应该像 2026-01-31 / a date looks like 2026-01-31")
