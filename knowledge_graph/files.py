"""What lies in a folder of answers, as rows with their places: YAML, CSV and Excel as people really save them.

Whatever one file does to its reader is told as that file's fault, and nothing is passed over in silence but what is
hidden.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import yaml
from openpyxl import load_workbook

log = logging.getLogger(__name__)

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

MOST_BYTES = 20_000_000
"""Of a file, so that none takes the memory of all."""
MOST_UNPACKED = 10 * MOST_BYTES
DEEPEST = 20
"""Levels of YAML; the reader's own stack ends at some thousands, and the process with it."""


class Fault(Exception):
    def __init__(self, column: str, message: str, row: int = 0, left_out: bool = True, sheet: str = "") -> None:
        super().__init__(message)
        self.column, self.message, self.row, self.left_out, self.sheet = column, message, row, left_out, sheet


@dataclass(slots=True)
class Raw:
    """An entry as it stands in a file; ``rows``: of fields that have a place of their own."""

    row: int
    values: Mapping[str, Any]
    rows: Mapping[str, int] = field(default_factory=dict)
    sheet: str = ""


def files_in(folder: Path) -> list[Path]:
    """All that lies in the folder but what is hidden, whether or not it can be read; the folder itself where it cannot
    be listed, nothing where there is none."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        return [folder] if folder.is_symlink() else []
    except OSError:
        return [folder]


def named(path: Path) -> str:
    """The file with its folder, in letters that every log and page can show."""
    raw = os.fsencode(path.name)
    try:
        name = raw.decode()
    except UnicodeDecodeError:
        name = raw.decode("gb18030", "replace")  # packed on a Windows in China
    return f"{path.absolute().parent.name}/{''.join(letter if letter.isprintable() else '?' for letter in name)}"


def read(path: Path) -> list[Raw | Fault]:
    """All of the file, or only what is wrong with it as a whole."""
    try:
        if path.name.startswith("~$"):
            words = "Excel 正开着这个表格，或上次没有正常关闭；这是它的临时文件，没有读 / Excel's own file, not read"
            raise Fault("", words, left_out=False)
        data = content_of(path)
        if (reader := READERS.get(path.suffix.lower())) is None:
            kinds = "、".join(READERS)
            raise Fault("", f"不是能读的文件，请另存为 {kinds} 之一，或移到别处 / not a kind of file that is read")
        return list(reader(data))
    except Fault as error:
        return [error]
    except Exception as error:  # whatever a file does to its reader, the others are read
        log.warning("%s", named(path), exc_info=True)
        return [Fault("", f"读不懂（{type(error).__name__}） / not readable")]


def digest(path: Path) -> str:
    """Another one as soon as the file reads otherwise."""
    try:
        return hashlib.sha256(content_of(path)).hexdigest()
    except Fault as fault:
        return fault.message


def content_of(path: Path) -> bytes:
    try:
        if path.is_dir():
            next(path.iterdir(), None)  # the folder of all answers comes here, too, where it cannot be listed
            raise Fault("", "这是文件夹，里面的文件不会读，请直接放在外面一层 / a folder; what is in it is not read")
        if not path.exists():
            raise Fault("", "链接指向的文件不存在，或文件刚被移走 / a link into nowhere")
        if not path.is_file():
            raise Fault("", "不是普通文件 / not a regular file")
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except PermissionError:
        raise Fault("", "没有读取权限 / no permission to read it") from None
    except OSError as error:
        raise Fault("", f"打不开（{error.strerror}） / cannot be read") from None
    if len(data) > MOST_BYTES:
        raise Fault("", f"文件超过 {MOST_BYTES // 1_000_000} MB / the file is too large")
    if not data.strip(b"\0\t\r\n " + codecs.BOM_UTF8):
        raise Fault("", "文件是空的；不用了请删掉 / it is empty; delete it if it is not needed")
    return data


def _text_of(data: bytes) -> str:
    """UTF-8, GBK, or UTF-16 that says so, as editors and Excel write them."""
    try:
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            text = data.decode("utf-16")
        else:
            try:
                text = data.decode("utf-8-sig")
            except UnicodeDecodeError as error:
                guess = data.decode("utf-8", "replace")
                if sum(letter > "\x7f" for letter in guess) > 2 * guess.count("\ufffd"):  # GBK never looks so
                    row = data.count(b"\n", 0, error.start) + 1
                    raise Fault("", "这里有损坏的字，请改好再存 / a damaged character", row) from None
                text = data.decode("gb18030")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise Fault("", "编码应该是 UTF-8 或 GBK / neither UTF-8 nor GBK")
    return text


def load_yaml(data: bytes) -> tuple[Any, yaml.Node]:
    """The content of the file and the nodes that it stands in."""
    text = _text_of(data)
    try:
        depth = 0
        for event in yaml.parse(text, yaml.CSafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                row = event.start_mark.line + 1 if event.start_mark else 0
                raise Fault("", "括号或缩进层数太多 / nested too deeply", row)
        loader = yaml.CSafeLoader(text)
        try:
            if (node := loader.get_single_node()) is None:
                raise Fault("", "里面没有内容；不用了请删掉 / it is empty; delete it if it is not needed")
            _only_once(node)
            return loader.construct_document(node), node
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError) as error:  # a date like 2026-13-45 is the latter
        mark = getattr(error, "problem_mark", None)
        row = min(mark.line + 1, len(text.splitlines())) if mark else 0
        raise Fault("", "从这附近起读不懂 / not readable as YAML", row) from None


def _only_once(root: yaml.Node) -> None:
    """Of two fields of the same name YAML would silently take the last."""
    nodes, seen = [root], set[int]()
    while nodes:
        node = nodes.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
            for key, value in node.value:
                if keys.get(key.value if isinstance(key, yaml.ScalarNode) else "", 0) > 1:
                    raise Fault(key.value, "写了两次 / it is there twice", key.start_mark.line + 1)
                nodes.append(value)
        elif isinstance(node, yaml.SequenceNode):
            nodes += node.value


def lines_of(node: yaml.Node) -> dict[str, int]:
    """Where the fields of a mapping stand, those of its ``about`` with them."""
    found: dict[str, int] = {}
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        found[key.value] = key.start_mark.line + 1
        if key.value == "about":
            found |= lines_of(value)
    return found


def _yaml(data: bytes) -> Iterator[Raw | Fault]:
    content, node = load_yaml(data)
    if not isinstance(content, dict) or not isinstance(content.get("entries"), list):
        raise Fault("", "应该有 topic 和 entries / topic and entries are expected")
    for name in (name for name in content if name not in ("topic", "entries")):
        raise Fault(str(name), "没有这一项，写错了吗？ / there is no such field", lines_of(node).get(str(name), 0))
    nodes = next(value for key, value in node.value if key.value == "entries").value
    if not nodes:
        yield Fault("", "里面没有答案 / there are no answers in it", left_out=False)
    for raw, place in zip(content["entries"], nodes, strict=True):
        raw = raw if isinstance(raw, dict) else {}
        about = raw.get("about") or {}
        rest = {name: value for name, value in raw.items() if name != "about"}
        values = {"topic": content.get("topic")} | rest | (about if isinstance(about, dict) else {"about": about})
        yield Raw(place.start_mark.line + 1, values, lines_of(place))


def _csv(data: bytes) -> Iterator[Raw | Fault]:
    text = _text_of(data)
    delimiter = max(",\t;", key=text.partition("\n")[0].count)  # Excel's "Unicode text" has tabs
    rows: list[list[str]] = []
    unclosed = "从这一行起双引号没有成对，整个文件没有读 / a quote is not closed; nothing of the file was read"
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
            rows.append(row)
    except csv.Error:
        raise Fault("", unclosed, len(rows) + 1) from None
    head, *rest = rows or [[]]
    names = _head(head)
    for number, row in enumerate(rest, 2):
        for line in (line for cell in row for line in cell.splitlines()[1:]):
            inside = dict(zip(names, map(str.strip, line.split(delimiter)), strict=False))
            if inside.get("kind") in KINDS and inside.get("topic") in TOPICS:  # another row, up to its own quote
                raise Fault("", unclosed, number)
    yield from _table(head, rest, exact=True)


csv.field_size_limit(MOST_BYTES)  # what is too long is told with its place


def _excel(data: bytes) -> Iterator[Raw | Fault]:
    try:
        with ZipFile(io.BytesIO(data)) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())
        if unpacked <= MOST_UNPACKED:  # what Excel has worked out, and what stands in the cells
            values, written = (
                load_workbook(io.BytesIO(data), read_only=True, data_only=only) for only in (True, False)
            )
    except Exception:  # openpyxl raises whatever comes
        words = "打不开：可能有密码、没有存完、只有图表，或是改了名的旧版 .xls；请用 Excel 另存为 .xlsx"
        raise Fault("", f"{words} / not an Excel workbook that can be read") from None
    if unpacked > MOST_UNPACKED:
        raise Fault("", "解压后太大 / too large when it is unpacked")
    sheets = [_rows_of(*pair) for pair in zip(values.worksheets, written.worksheets, strict=True)]
    heads = [next(sheet, []) for sheet in sheets]
    meant = [not set(COLUMNS).isdisjoint(_head(head)) for head in heads]
    if not any(meant):
        raise Fault("", f"第一行应该是列名：{'、'.join(REQUIRED)} / the first row should name the columns")
    for title, head, rows, is_table in zip((one.title for one in values.worksheets), heads, sheets, meant, strict=True):
        name = title if len(sheets) > 1 else ""
        if not is_table:
            if any(_filled(cell) for row in (head, *rows) for cell in row):
                words = "这张表没有列名，没有读 / this sheet does not name its columns and was not read"
                yield Fault("", words, left_out=False, sheet=name)
            continue
        try:
            for found in _table(head, rows):
                found.sheet = name
                yield found
        except Fault as error:  # of the sheet; the others are read
            error.sheet = name
            yield error


def _rows_of(values: Any, written: Any) -> Iterator[list[Any]]:
    """The cells of a sheet; ``#CALC!`` where there is a formula that nobody has worked out."""
    for sheet in (values, written):
        sheet.reset_dimensions()  # what a file says of them may be wrong, and then cells would be missing
    for known, raw in zip(values.iter_rows(values_only=True), written.iter_rows(values_only=True), strict=True):
        yield [
            "#CALC!" if cell is None and formula is not None else cell for cell, formula in zip(known, raw, strict=True)
        ]


def _head(row: Sequence[Any]) -> list[str]:
    return [str(cell).strip().lower() if cell is not None else "" for cell in row]


def _filled(cell: Any) -> bool:
    return cell is not None and bool(str(cell).strip())


def _table(first: Sequence[Any], rows: Iterable[Sequence[Any]], *, exact: bool = False) -> Iterator[Raw | Fault]:
    """Names of columns, then an entry a row; ``exact``: a cell too many may have shifted the others."""
    head = _head(first)
    if missing := [name for name in REQUIRED if name not in head]:
        raise Fault(missing[0], f"缺少这一列：{'、'.join(missing)} / columns are missing", 1)
    for name in filter(None, head):
        if name not in COLUMNS:
            raise Fault(name, "没有这一列，写错了吗？不用的列请删掉 / there is no such column", 1)
        if head.count(name) > 1 and name not in LISTS:
            raise Fault(name, "这一列有两个 / there are two of this column", 1)
    empty = True
    for number, row in enumerate(rows, 2):
        filled = [place for place, cell in enumerate(row) if _filled(cell)]
        if not filled:
            continue
        empty = False
        if (exact and len(row) > len(head)) or any(place >= len(head) or not head[place] for place in filled):
            words = "比表头多出一格：文字里有英文逗号时，整格要放进双引号 / more cells than the first row names"
            yield Fault("", words, number)
            continue
        values: dict[str, Any] = {}
        for name, cell in zip(head, row, strict=False):
            if name in LISTS:
                values.setdefault(name, []).extend(re.split(r"[\n|]", str(cell)) if cell is not None else [])
            elif name:
                values[name] = cell
        yield Raw(number, values)
    if empty:
        yield Fault("", "里面没有答案 / there are no answers in it", left_out=False)


READERS: dict[str, Callable[[bytes], Iterator[Raw | Fault]]] = {
    ".yml": _yaml,
    ".yaml": _yaml,
    ".csv": _csv,
    ".xlsx": _excel,
}
