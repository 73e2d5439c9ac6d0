"""Files of trainers: what is read, and what is said about mistakes."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from openpyxl import Workbook

from knowledge_graph.entries import COLUMNS, Content, Entry, Problem, read_folder

FOLDER = Path(__file__).parent / "content"
FACTS = {"no_reason_days": 7}

GOOD = {
    "id": "cod",
    "kind": "faq",
    "topic": "payment",
    "title": "货到付款",
    "answer": "不支持货到付款。",
    "ask": "能货到付款吗|到了再给钱行不行",
}
READ = Entry("cod", "faq", "payment", "货到付款", "不支持货到付款。", ("能货到付款吗", "到了再给钱行不行"), {})


def excel(folder: Path, *rows: dict[str, Any], columns: tuple[str, ...] = COLUMNS) -> Content:
    book = Workbook()
    assert book.active
    book.active.append(columns)
    for row in rows:
        book.active.append([row.get(column) for column in columns])
    book.save(folder / "table.xlsx")
    return read_folder(folder, FACTS)


def test_a_folder_of_yaml_and_tables() -> None:
    content = read_folder(FOLDER, FACTS)
    assert content.problems == ()
    assert {entry.id: (entry.kind, entry.topic, dict(entry.facts)) for entry in content.entries} == {
        "free_shipping": ("policy", "delivery", {"free_shipping_yuan": 59, "courier": "顺丰"}),
        "no_reason_return": ("policy", "return_exchange", {"no_reason_days": 7}),
        "kettle_scale": ("faq", "return_exchange", {"no_reason_days": 7}),
    }
    shipping, no_reason, scale = content.entries
    assert shipping.ask == ("多少钱包邮", "邮费谁掏啊", "要运费吗")
    assert (shipping.valid_from, shipping.valid_until) == (date(2026, 1, 1), None)
    assert no_reason.valid_until == date(2027, 12, 31)
    assert (scale.categories, scale.suppliers) == (("电水壶",), ("净谷水业",))


def test_excel_and_csv_say_the_same(tmp_path: Path) -> None:
    assert excel(tmp_path, GOOD) == Content((READ,), ())
    (tmp_path / "table.xlsx").unlink()
    text = f"{','.join(GOOD)}\n{','.join(GOOD.values())}\n"
    for encoding in ("utf-8", "utf-8-sig", "gbk"):
        (tmp_path / "table.csv").write_text(text, encoding)
        assert read_folder(tmp_path, {}) == Content((READ,), ())


@pytest.mark.parametrize(
    ("change", "column", "says"),
    [
        ({"id": None}, "id", "不能为空"),
        ({"id": "货到付款"}, "id", "小写字母"),
        ({"id": "same"}, "id", "重复"),
        ({"kind": "rule"}, "kind", "faq 或 policy"),
        ({"topic": "weather"}, "topic", "weather"),
        ({"title": "  "}, "title", "不能为空"),
        ({"title": True}, "title", "引号"),
        ({"answer": "等 {days} 天"}, "answer", "{days} 没有定义"),
        ({"answer": "等 {no_reason_days 天"}, "answer", "花括号"),
        ({"ask": "\n|"}, "ask", "至少"),
        ({"valid_from": "明年"}, "valid_from", "日期"),
        ({"valid_from": "2026-02-30"}, "valid_from", "日期"),
        ({"valid_from": "2026-02-02", "valid_until": datetime(2026, 1, 1)}, "valid_until", "早于"),
    ],
)
def test_a_bad_row_is_reported_and_the_good_ones_are_read(
    tmp_path: Path, change: dict[str, Any], column: str, says: str
) -> None:
    content = excel(tmp_path, GOOD | {"id": "same"}, {}, GOOD | change, GOOD | {"id": "last", "title": 618.0})
    assert [(entry.id, entry.title) for entry in content.entries] == [("same", "货到付款"), ("last", "618")]
    (problem,) = content.problems
    assert (problem.file, problem.row, problem.column) == ("table.xlsx", 4, column)
    assert says in str(problem)


@pytest.mark.parametrize(
    ("name", "text", "column", "says"),
    [
        ("a.yml", "topic: [", "", "第 2 行"),
        ("a.yml", "- nothing", "", "topic 和 entries"),
        ("a.csv", "id,kind,title\n", "topic", "topic、answer、ask"),
        ("a.csv", "", "id", "缺少"),
        ("a.xlsx", "no zip", "", "Excel"),
        ("shop.yml", "no_reason_days: 8", "no_reason_days", "规则"),
        ("shop.yml", "open: yes", "open", "整数或文字"),
    ],
)
def test_a_file_that_cannot_be_read_does_not_hide_the_others(
    tmp_path: Path, name: str, text: str, column: str, says: str
) -> None:
    (tmp_path / "good.yml").write_text(yaml.safe_dump({"topic": "payment", "entries": [GOOD | {"ask": ["x"]}]}))
    (tmp_path / name).write_text(text)
    content = read_folder(tmp_path, FACTS)
    assert [entry.id for entry in content.entries] == ["cod"]
    (problem,) = content.problems
    assert (problem.file, problem.row, problem.column) == (name, 0, column)
    assert says in str(problem)


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"valid_untill": "2026-01-01"}, "valid_untill"),
        ({"about": {"colours": ["红"]}}, "colours"),
        ({"about": "空调"}, "about"),
        ({"ask": "一句"}, "ask"),
        ({"ask": [True]}, "ask"),
    ],
)
def test_mistakes_of_yaml(tmp_path: Path, change: dict[str, Any], column: str) -> None:
    entry = GOOD | {"ask": ["x"]} | change
    (tmp_path / "payment.yml").write_text(yaml.safe_dump({"topic": "payment", "entries": [entry]}))
    (problem,) = read_folder(tmp_path, FACTS).problems
    assert (problem.row, problem.column) == (1, column)


def test_two_files_must_not_use_one_id(tmp_path: Path) -> None:
    for name in ("a.yml", "b.yml"):
        (tmp_path / name).write_text(yaml.safe_dump({"topic": "payment", "entries": [GOOD | {"ask": ["x"]}]}))
    content = read_folder(tmp_path, FACTS)
    assert len(content.entries) == 1
    assert content.problems == (Problem("b.yml", 1, "id", content.problems[0].message),)
