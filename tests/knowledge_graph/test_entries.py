"""Files of trainers: what is read, and what is said about mistakes."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from openpyxl import Workbook

from knowledge_graph.entries import Content, Entry, Problem, read_files, read_folder
from knowledge_graph.files import COLUMNS

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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "knowledge"
    folder.mkdir()
    return folder


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


def test_excel_and_csv_say_the_same(folder: Path) -> None:
    assert excel(folder, GOOD) == Content((READ,), ())
    (folder / "table.xlsx").unlink()
    text = f"{','.join(GOOD)}\n{','.join(GOOD.values())}\n"
    for encoding in ("utf-8", "utf-8-sig", "gbk"):
        (folder / "table.csv").write_text(text, encoding)
        assert read_folder(folder, {}) == Content((READ,), ())


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
    folder: Path, change: dict[str, Any], column: str, says: str
) -> None:
    content = excel(folder, GOOD | {"id": "same"}, {}, GOOD | change, GOOD | {"id": "last", "title": 618.0})
    assert [(entry.id, entry.title) for entry in content.entries] == [("same", "货到付款"), ("last", "618")]
    (problem,) = content.problems
    assert (problem.file, problem.row, problem.column) == ("knowledge/table.xlsx", 4, column)
    assert says in str(problem)


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("no_reason_days: 8", "no_reason_days", "规则"),
        ("open: yes", "open", "整数或文字"),
        ("ship_hours: '48'", "ship_hours", "48 应写成数字 48，不加引号"),
        ("ship_hours: ４８", "ship_hours", "write the number 48, without quotes"),
        ("ship_hours: -48", "ship_hours", "超出范围"),
        ("ship_hours: 480000", "ship_hours", "超出范围"),
        ("free_yuan: 0.5", "free_yuan", "整数或文字"),
        ("couriers:", "couriers", "整数或文字"),
        ("Ship Hours: 48", "Ship Hours", "小写字母"),
        ("48: ship_hours", "48", "小写字母"),
        ("ship_hours 48", "", "名字: 值"),
    ],
)
def test_a_number_of_the_shop_that_cannot_be(folder: Path, text: str, column: str, says: str) -> None:
    (folder / "good.yml").write_text(yaml.safe_dump({"topic": "payment", "entries": [GOOD | {"ask": ["x"]}]}))
    (folder / "shop.yml").write_text(text)
    content = read_folder(folder, FACTS)
    assert [entry.id for entry in content.entries] == ["cod"]
    (problem,) = content.problems
    assert (problem.file, problem.row, problem.column) == ("knowledge/shop.yml", int(bool(column)), column)
    assert says in str(problem)


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"valid_untill": "2026-01-01"}, "valid_untill"),
        ({"about": {"colours": ["红"]}}, "colours"),
        ({"about": "空调"}, "about"),
        ({"ask": "一句"}, "ask"),
        ({"ask": [True]}, "ask"),
        ({"ask": [["x"]]}, "ask"),
    ],
)
def test_mistakes_of_yaml(folder: Path, change: dict[str, Any], column: str) -> None:
    """Each is told with the line that the field stands in."""
    entry = GOOD | {"ask": ["x"]} | change
    text = yaml.safe_dump({"topic": "payment", "entries": [entry]}, allow_unicode=True)
    (folder / "payment.yml").write_text(text)
    (problem,) = read_folder(folder, FACTS).problems
    lines = [number for number, line in enumerate(text.splitlines(), 1) if line.strip(" -").startswith(f"{column}:")]
    assert ([problem.row], problem.column) == (lines, column)


def test_two_files_must_not_use_one_id(folder: Path) -> None:
    for name in ("a.yml", "b.yml"):
        (folder / name).write_text(yaml.safe_dump({"topic": "payment", "entries": [GOOD | {"ask": ["x"]}]}))
    content = read_folder(folder, FACTS)
    assert len(content.entries) == 1
    assert content.problems == (Problem("knowledge/b.yml", 5, "id", content.problems[0].message),)
    assert "knowledge/a.yml" in content.problems[0].message


def test_one_bad_number_of_the_shop_does_not_hide_the_others(folder: Path) -> None:
    (folder / "shop.yml").write_text(
        "ship_hours: soon\npay_hours: '24'\nprice_days: 7\nnear_days: 1 到 3\nphone: '12315'\n"
    )
    answers = {
        "a": "{price_days} 天",
        "b": "{near_days} 天",
        "c": "{phone}",
        "d": "{pay_hours} 小时",
        "e": "{price_day} 天",
    }
    entries = [GOOD | {"id": key, "title": key, "answer": answer, "ask": ["x"]} for key, answer in answers.items()]
    (folder / "a.yml").write_text(yaml.safe_dump({"topic": "payment", "entries": entries}))
    content = read_folder(folder, FACTS)
    assert [entry.text for entry in content.entries] == ["7 天", "1 到 3 天", "12315"]
    assert [(problem.file, problem.column) for problem in content.problems] == [
        ("knowledge/shop.yml", "pay_hours"),
        ("knowledge/a.yml", "answer"),
    ]
    assert "knowledge/a.yml" in content.kept  # what mentions it stays as it was
    assert "是不是 {price_days}？" in str(content.problems[1])


@pytest.mark.parametrize(
    ("own", "says"),
    [
        ("ship_hour: 24", "没有 ship_hour，是不是 ship_hours？"),
        ("ship_hours: 一天", "这里原来是数字 48"),
        ("bulk: '20'", "应写成数字 20"),
        ("night_fee_yuan: 6", None),
        ("ship_hours: 24", None),
    ],
)
def test_an_operators_own_numbers_replace_those_that_there_are(folder: Path, own: str, says: str | None) -> None:
    (folder / "own").mkdir()
    (folder / "shop.yml").write_text("ship_hours: 48\nbulk: 10\n")
    (folder / "own" / "shop.yml").write_text(own)
    problems = read_files([folder / "shop.yml", folder / "own" / "shop.yml"], FACTS).problems
    assert [says in str(problem) for problem in problems if says] == [True] * bool(says)
    assert len(problems) == bool(says)
