"""One bad file is its own problem: a row for each kind, with what is told of it and what is read all the same."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from openpyxl import Workbook

from knowledge_graph.entries import LONGEST, TOLD, Content, Problem, read_files, read_folder
from knowledge_graph.files import MOST_BYTES, digest, files_in
from knowledge_graph.reports import Report
from settings import ROOT
from tests.stack import UNPRIVILEGED

FACTS = {"no_reason_days": 7}
HEAD = ("id", "kind", "topic", "title", "answer", "ask")
COD = ("cod", "faq", "payment", "货到付款", "不支持货到付款。", "能货到付款吗|到了再给钱行不行")
CARD = ("card", "faq", "payment", "刷卡", "可以刷卡。", "能刷卡吗")
GOOD = """\
topic: delivery
entries:
  - id: sundays
    kind: faq
    title: 周日送不送
    answer: 周日也送。
    ask: [周日送吗]
"""
YAML = """\
topic: payment
entries:
  - id: cod
    kind: faq
    title: 货到付款
    answer: 不支持货到付款。
    ask:
      - 能货到付款吗
"""

Make = Callable[[Path], object]


def csv(*rows: tuple[str, ...], head: tuple[str, ...] = HEAD, between: str = ",") -> str:
    return "".join(between.join(row) + "\n" for row in (head, *rows))


def text(words: str, encoding: str = "utf-8") -> Make:
    return lambda path: path.write_bytes(words.encode(encoding))


def excel(*sheets: list[tuple[object, ...]], titles: tuple[str, ...] = ("一", "二", "三")) -> Make:
    def make(path: Path) -> None:
        book = Workbook()
        assert book.active
        book.remove(book.active)
        for title, rows in zip(titles, sheets, strict=False):
            sheet = book.create_sheet(title)
            for row in rows:
                sheet.append(row)
        book.save(path)

    return make


def chart_only(path: Path) -> None:
    book = Workbook()
    book.create_chartsheet("图")
    assert book.active
    book.remove(book.active)
    book.save(path)


def truncated(path: Path) -> None:
    excel([HEAD, COD])(path)
    path.write_bytes(path.read_bytes()[:-200])


def broken_inside(path: Path) -> None:
    """A workbook whose sheet is no XML any more."""
    excel([HEAD, COD])(path)
    with zipfile.ZipFile(path) as whole:
        parts = {name: whole.read(name) for name in whole.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content[:300] if "sheet1" in name else content)


def wrong_dimension(path: Path) -> None:
    """Some programs write down that a sheet has one cell only."""
    excel([HEAD, COD])(path)
    with zipfile.ZipFile(path) as whole:
        parts = {name: whole.read(name) for name in whole.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content.replace(b'<dimension ref="A1:F2"', b'<dimension ref="A1:A1"'))


def bomb(path: Path) -> None:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("xl/x", "w") as part:
        for _ in range(11):
            part.write(bytes(MOST_BYTES))
    path.write_bytes(whole.getvalue())


ALL = ("sundays", "cod")
FILES = [
    # a table whose shape is broken
    ("quote.csv", text(csv(CARD, (*COD[:4], '"不支持。', "能货到付款吗"))), (), 3, "", "双引号没有成对", True),
    ("swallowed.csv", text(csv((*COD[:5], '"能付吗'), (*CARD[:5], '能刷卡吗"'))), (), 2, "", "双引号没有成对", True),
    ("stray.csv", text(csv((*COD[:4], '"不支持"。', "能货到付款吗"))), (), 2, "", "双引号没有成对", True),
    ("long.csv", text(csv((*COD[:4], "长" * 131_073, COD[5]), CARD)), ("card",), 2, "answer", "131073", True),
    ("long.xlsx", excel([HEAD, (*COD[:4], "长" * LONGEST, COD[5])]), ("cod",), 0, "", "", None),
    ("comma.csv", text(csv((*COD[:4], "不支持,但可以刷卡。", COD[5]), CARD)), ("card",), 2, "", "英文逗号", True),
    ("comma2.csv", text(csv((*COD[:4], "不,行", "能吗", ""), head=(*HEAD, "categories"))), (), 2, "", "多出一格", True),
    ("head.csv", text(csv(("x", "y", "z"), head=("id", "kind", "title"))), (), 1, "topic", "topic、answer、ask", True),
    ("more.csv", text(csv((*COD, "小王"), head=(*HEAD, "负责人"))), (), 1, "负责人", "没有这一列", True),
    ("twice.csv", text(csv((*COD, "支持。"), head=(*HEAD, "answer"))), (), 1, "answer", "有两个", True),
    ("two_asks.csv", text(csv((*COD, "能刷卡吗"), head=(*HEAD, "ask"))), ("cod",), 0, "", "", None),
    ("semicolons.csv", text(csv(COD, between=";")), ("cod",), 0, "", "", None),
    ("capitals.csv", text(csv(COD, head=tuple(map(str.upper, HEAD)))), ("cod",), 0, "", "", None),
    ("head_only.csv", text(csv()), (), 0, "", "没有答案", False),
    # what Excel saves
    ("sheets.xlsx", excel([HEAD, COD], [HEAD, CARD]), ("cod", "card"), 0, "", "", None),
    ("notes.xlsx", excel([HEAD, COD], [("写法说明",)]), ("cod",), 0, "", "【二】：这张表没有列名", False),
    ("half.xlsx", excel([HEAD, COD], [HEAD[:3], CARD[:3]]), ("cod",), 1, "title", "【二】", True),
    ("no_head.xlsx", excel([COD, CARD]), (), 0, "", "第一行应该是列名", True),
    ("name.xlsx", excel([HEAD, (*COD[:4], "#NAME?", COD[5]), CARD]), ("card",), 2, "answer", "#NAME?", True),
    ("name.csv", text(csv((*COD[:5], "#N/A"), CARD)), ("card",), 2, "ask", "#N/A", True),
    ("formula.xlsx", excel([(*HEAD, "valid_until"), (*COD, "=TODAY()+30")]), (), 2, "valid_until", "日期", True),
    ("formula2.xlsx", excel([HEAD, (*COD[:4], "=不支持", COD[5])]), (), 2, "answer", "单引号", True),
    ("gaps.xlsx", excel([HEAD, (), COD, (), (*CARD[:3], "")]), ("cod",), 5, "title", "不能为空", True),
    ("beside.xlsx", excel([HEAD, (*COD, "待定")]), (), 2, "", "多出一格", True),
    ("dimension.xlsx", wrong_dimension, ("cod",), 0, "", "", None),
    ("chart.xlsx", chart_only, (), 0, "", "只有图表", True),
    ("text.xlsx", text(csv(COD)), (), 0, "", "打不开", True),
    ("truncated.xlsx", truncated, (), 0, "", "没有存完", True),
    ("inside.xlsx", broken_inside, (), 0, "", "读不懂", True),
    ("bomb.xlsx", bomb, (), 0, "", "解压后太大", True),
    ("answers.XLSX", excel([HEAD, COD]), ("cod",), 0, "", "", None),
    ("answers.xls", text("x"), (), 0, "", "另存为", True),
    ("~$answers.xlsx", text("owner"), (), 0, "", "临时文件", False),
    # YAML
    ("open.yml", text("topic: ["), (), 1, "", "读不懂", True),
    ("list.yml", text("- nothing"), (), 0, "", "topic 和 entries", True),
    ("field.yml", text(YAML + "mine: 1\n"), (), 9, "mine", "没有这一项", True),
    ("twice.yml", text(YAML + "    ask: [能刷卡吗]\n"), (), 7, "ask", "两次", True),
    ("date.yml", text(YAML + "    valid_until: 2026-13-45\n"), (), 0, "", "读不懂", True),
    ("tag.yml", text("topic: !!python/object/apply:os.getcwd []\nentries: []\n"), (), 1, "", "读不懂", True),
    ("deep.yml", text("topic: payment\nentries: " + "[" * 60_000), (), 2, "", "层数", True),
    ("more.yml", text("a: &a [x, x]\nb: &b [*a, *a]\ntopic: x\nentries: [*b]\n"), (), 1, "a", "没有这一项", True),
    ("none.yml", text("topic: payment\nentries: []\n"), (), 0, "", "没有答案", False),
    ("comments.yml", text("# later\n"), (), 0, "", "没有内容", True),
    ("answers.yaml", text(YAML), ("cod",), 0, "", "", None),
    ("ANSWERS.YML", text(YAML), ("cod",), 0, "", "", None),
    # letters
    ("gbk.csv", text(csv(COD), "gbk"), ("cod",), 0, "", "", None),
    ("utf16.csv", text(csv(COD, between="\t"), "utf-16"), ("cod",), 0, "", "", None),
    ("bom.csv", text(csv(COD), "utf-8-sig"), ("cod",), 0, "", "", None),
    ("bom.yml", text(YAML, "utf-8-sig"), ("cod",), 0, "", "", None),
    ("gbk.yml", text(YAML, "gbk"), ("cod",), 0, "", "", None),
    ("answers.CSV", text(csv(COD)), ("cod",), 0, "", "", None),
    ("mac.csv", text(csv(COD).replace("\n", "\r")), ("cod",), 0, "", "", None),
    ("utf16.yml", text(YAML, "utf-16-le"), (), 0, "", "编码", True),
    ("damaged.csv", lambda path: path.write_bytes(csv(COD).encode()[:-9] + b"\xff\n"), (), 2, "", "损坏的字", True),
    ("replaced.csv", text(csv((*COD[:4], "不支持\ufffd。", COD[5]))), (), 2, "answer", "损坏的字", True),
    ("nul.csv", text(csv(COD) + "\0\0"), (), 0, "", "编码", True),
    ("noise.csv", lambda path: path.write_bytes(bytes(range(256)) * 9), (), 0, "", "编码", True),
    # what is no file of answers
    ("empty.csv", text(""), (), 0, "", "文件是空的", True),
    ("blank.yml", text("\n \n"), (), 0, "", "文件是空的", True),
    ("empty.xlsx", text(""), (), 0, "", "文件是空的", True),
    ("notes.txt", text("改到一半"), (), 0, "", "另存为", True),
    ("large.csv", text("x" * (MOST_BYTES + 1)), (), 0, "", "20 MB", True),
    ("folder.csv", Path.mkdir, (), 0, "", "文件夹", True),
    ("2026", Path.mkdir, (), 0, "", "文件夹", True),
    ("nowhere.csv", lambda path: path.symlink_to("nothing"), (), 0, "", "链接", True),
    ("circle.csv", lambda path: path.symlink_to(path), (), 0, "", "", True),
    ("pipe.csv", os.mkfifo, (), 0, "", "不是普通文件", True),
    ("device.csv", lambda path: path.symlink_to("/dev/zero"), (), 0, "", "不是普通文件", True),
    ("memory.csv", lambda path: path.symlink_to("/proc/self/mem"), (), 0, "", "打不开", True),
    # two of something
    ("title.csv", text(csv((*COD[:3], "周日送不送", *COD[4:]))), ("cod",), 2, "title", "一样", False),
    ("id.csv", text(csv(("sundays", *COD[1:]))), (), 2, "id", "重复", True),
]


@pytest.mark.parametrize(
    ("name", "make", "read", "row", "column", "says", "left_out"), [pytest.param(*row, id=row[0]) for row in FILES]
)
def test_each_is_read_or_told_and_the_others_are_read(
    folder: Path, name: str, make: Make, read: tuple[str, ...], row: int, column: str, says: str, left_out: bool | None
) -> None:
    """``left_out``: whether something was; None where there is nothing to say."""
    (folder / "a.yml").write_text(GOOD)
    make(folder / name)
    content = read_folder(folder, FACTS)
    assert {entry.id for entry in content.entries} == {"sundays", *read}
    if left_out is None:
        assert (content.problems, content.kept) == ((), frozenset[str]())
        return
    (problem,) = content.problems
    shown = str(problem)
    assert (problem.file, problem.row, problem.column) == (f"knowledge/{name}", row, column)
    assert says in shown
    assert " / " in shown
    assert f"第 {row} 行" in shown if row else "行 " not in shown
    assert problem.left_out is left_out
    assert any(f"knowledge/{name}".startswith(kept) for kept in content.kept) is left_out


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "knowledge"
    folder.mkdir()
    return folder


SHOP = "courier: 疾鹿速运\nfree_shipping_yuan: 59\n"
COURIER = GOOD.replace("周日也送。", "发{courier}，周日也送。").replace("sundays", "courier")
RULE = GOOD.replace("周日也送。", "满 {no_reason_days} 天。").replace("sundays", "rule").replace("周日送不送", "几天")


@pytest.mark.parametrize(
    ("own", "read"),
    [
        pytest.param("courier: 飞梭快递\n", {"courier": "飞梭快递", "rule": 7}, id="another one"),
        pytest.param("courier: [飞梭快递]\n", {"rule": 7}, id="which cannot be read"),
        pytest.param("free_shipping_yuan: yes\n", {"courier": "疾鹿速运", "rule": 7}, id="another fact cannot"),
        pytest.param("courier: [", {"rule": 7}, id="the file cannot be read"),
        pytest.param("no_reason_days: 8\n", {"courier": "疾鹿速运", "rule": 7}, id="the rules say it"),
    ],
)
def test_a_number_that_cannot_be_read_is_not_taken_from_elsewhere(
    folder: Path, own: str, read: dict[str, object]
) -> None:
    """Or customers would hear the demo shop's number for the shop's own."""
    shipped = folder.parent / "content"
    shipped.mkdir()
    (shipped / "shop.yml").write_text(SHOP)
    for name, content in (("courier.yml", COURIER), ("rule.yml", RULE), ("shop.yml", own)):
        (folder / name).write_text(content)
    found = read_files([*files_in(shipped), *files_in(folder)], FACTS)
    assert {entry.id: next(iter(entry.facts.values())) for entry in found.entries} == read
    assert ("knowledge/courier.yml" in found.kept) is ("courier" not in read)
    assert [problem.file for problem in found.problems] == ["knowledge/shop.yml"] * (own[9] != "飞")


def test_many_faults_of_one_file_do_not_drown_the_others(folder: Path) -> None:
    (folder / "many.csv").write_text(csv(*((*COD[:5], "") for _ in range(1000))))
    (folder / "one.csv").write_text(csv((*COD[:5], "")))
    found = read_folder(folder, FACTS).problems
    assert [problem.file for problem in found] == ["knowledge/many.csv"] * (TOLD + 1) + ["knowledge/one.csv"]
    assert "还有 980 处" in found[TOLD].message


def test_many_bad_files_do_not_drown_the_health() -> None:
    found = tuple(Problem(f"knowledge/{number}.csv", 0, "", "?") for number in range(1000))
    warnings = Report(found, "没有同步").warnings()
    assert (len(warnings), warnings[0], warnings[-1]) == (22, "没有同步", "还有 980 个文件 / 980 more files")


def test_what_is_hidden_is_no_file_of_answers(folder: Path) -> None:
    for name in (".DS_Store", ".~lock.answers.xlsx#", "._answers.csv"):
        (folder / name).write_text("x")
    assert read_folder(folder, FACTS) == Content((), ())


def test_a_name_in_other_letters_is_told_so_that_it_can_be_found(folder: Path) -> None:
    for name in ("运费.csv".encode("gbk"), b"a\nb\xff.csv"):
        (folder / os.fsdecode(name)).write_text("x")
    told = [problem.file for problem in read_folder(folder, FACTS).problems]
    assert told == ["knowledge/a?b\ufffd.csv", "knowledge/运费.csv"]


NOT_ALLOWED = """
import sys
from pathlib import Path
from knowledge_graph.entries import read_folder

for folder in map(Path, sys.argv[1:]):
    content = read_folder(folder, {})
    print(len(content.entries), *content.problems, *sorted(content.kept), sep="|")
"""


def test_what_may_not_be_read_is_told(folder: Path) -> None:
    closed = folder.parent / "closed"
    closed.mkdir()
    for path, mode in ((folder / "a.yml", 0o600), (folder / "b.csv", 0), (closed / "a.yml", 0o600), (closed, 0)):
        if path.suffix:
            path.write_text(GOOD)
        path.chmod(mode)
    command = [*UNPRIVILEGED, sys.executable, "-c", NOT_ALLOWED, str(folder), str(closed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    closed.chmod(0o700)
    some, none = done.stdout.splitlines()
    assert some.startswith("1|knowledge/b.csv：没有读取权限")
    assert none.startswith("0|")
    assert "没有读取权限" in none
    assert "|closed/|" in none  # its answers stay
    assert done.stderr == ""


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, text("x"), lambda path: path.symlink_to("nothing")])
def test_training_takes_any_file(folder: Path, make: Make) -> None:
    before = digest(folder / "x.csv")
    make(folder / "x.csv")
    assert before
    assert digest(folder / "x.csv") == digest(folder / "x.csv")


def test_a_link_to_a_folder_that_is_away(folder: Path) -> None:
    link = folder.parent / "linked"
    link.symlink_to("nothing")
    content = read_folder(link, FACTS)
    assert "链接" in str(content.problems[0])
    assert "linked/" in content.kept
