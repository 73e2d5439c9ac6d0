"""``python -m knowledge_graph`` as people type it, on an embedded graph that knows a few answers."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import settings
from knowledge_graph import gaps
from knowledge_graph.content import load
from knowledge_graph.entries import Content
from knowledge_graph.migrations import migrate
from knowledge_graph.server import DATABASE
from privacy import KeyRing
from tests.knowledge_graph.servers import Embedded, Server, start
from tests.knowledge_graph.test_answering import ENGRAVING, WRAPPING

UNSURE = "我不确定"
NOON = datetime(2026, 3, 11, 4, 0, tzinfo=UTC)
ASKED = ("能送到火星吗", "火星能送到吗", "能送到火星吗", "支持刷脸付款吗", "能送到火星吗", "支持刷脸支付吗")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("house")
    server = start(Embedded, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEYRING_FILE", str(folder / "keyring.json"))
        KeyRing.load_or_create(settings.keyring_file())
        asyncio.run(fill(server))
    yield server
    if server.process and server.process.poll() is None:
        server.stop()


async def fill(server: Server) -> None:
    async with server.graph() as graph:
        await migrate(graph)
        await load(graph, Content((WRAPPING, ENGRAVING), ()))
        for minute, text in enumerate(ASKED):
            await gaps.record(graph, text, "delivery" if "送" in text else None, NOON + timedelta(minutes=minute))


def start_command(house: Server, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    """The same on every machine: nothing was trained, and what is said is said when a buffer is full or at the end."""
    ours = {"MODELS_DIR": str(house.folder / "models"), "PYTHONUNBUFFERED": ""}
    return subprocess.Popen(
        [sys.executable, "-m", "knowledge_graph", *arguments],
        cwd=settings.ROOT,
        env=house.environment() | ours | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def command(house: Server, *arguments: str, lines: str = "", **environment: str) -> tuple[int, str, str]:
    """Exit status, and what it said on both of its outputs."""
    process = start_command(house, *arguments, **environment)
    said, complained = process.communicate(lines.encode(), timeout=90)
    return process.returncode, said.decode(), complained.decode()


def objects(house: Server, *arguments: str, lines: str = "") -> list[dict[str, Any]]:
    status, said, complained = command(house, *arguments, "--json", lines=lines)
    assert (status, complained) == (0, "")
    return [json.loads(line) for line in said.split("\n")[:-1]]


# ---- ask -------------------------------------------------------------------------------------------------------------


def test_a_question(house: Server) -> None:
    status, said, complained = command(house, "ask", "能包成礼物吗")
    assert (status, complained) == (0, "")
    answer, source = said.splitlines()
    assert answer == WRAPPING.text
    assert "来源：礼品包装（gift_wrapping，" in source


def test_a_question_that_has_no_answer(house: Server) -> None:
    assert command(house, "ask", "今天天气怎么样") == (0, f"{UNSURE}\n", "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("能包成礼物吗", {"answer": WRAPPING.text, "topic": "presale", "source": "gift_wrapping"}),
        ("刻了字还能退吗", {"answer": ENGRAVING.text, "topic": "return_exchange", "source": "engraving"}),
        ("今天天气怎么样", {"answer": UNSURE, "source": None}),
        ("", {"answer": UNSURE, "source": None}),
    ],
)
def test_as_json(house: Server, text: str, expected: dict[str, str | None]) -> None:
    (told,) = objects(house, "ask", text)
    assert list(told) == ["text", "answer", "topic", "source", "score"]
    assert told["text"] == text
    assert {name: told[name] for name in expected} == expected
    assert 0 <= told["score"] <= 1
    assert (told["score"] >= 0.6) is (told["source"] is not None)


LINES = [
    "能包成礼物吗",
    "",
    "   ",
    "啊" * 20_000,
    "刻字的杯子能退吗 " * 3000,
    "\u2028能包成礼物吗\x0b",
    '"\\\t😀',
    "退",
]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last_ends", [True, False])
def test_each_line_has_its_answer(house: Server, tmp_path: Path, end: str, last_ends: bool) -> None:
    """Empty, very long and odd ones, too."""
    text = end.join(LINES) + (end if last_ends else "")
    file = tmp_path / "questions.txt"
    file.write_bytes(text.encode())
    from_file, from_input = objects(house, "ask", "--file", str(file)), objects(house, "ask", lines=text)
    assert from_file == from_input
    assert [told["text"] for told in from_file] == LINES
    assert [told["source"] for told in from_file[:4]] == ["gift_wrapping", None, None, None]
    assert [told["source"] for told in from_file[4:6]] == ["engraving", "gift_wrapping"]


def test_no_lines_no_answers(house: Server, tmp_path: Path) -> None:
    (tmp_path / "none.txt").touch()
    assert command(house, "ask", "--file", str(tmp_path / "none.txt")) == (0, "", "")
    assert command(house, "ask") == (0, "", "")


def test_a_file_with_a_byte_order_mark(house: Server, tmp_path: Path) -> None:
    (tmp_path / "excel.txt").write_text("能包成礼物吗\n", "utf-8-sig")
    assert [told["text"] for told in objects(house, "ask", "--file", str(tmp_path / "excel.txt"))] == ["能包成礼物吗"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(None, "No such file"), ("发货".encode("gbk"), "utf-8")],
    ids=["no file", "another encoding"],
)
def test_a_file_that_cannot_be_read(house: Server, tmp_path: Path, content: bytes | None, complaint: str) -> None:
    file = tmp_path / "questions.txt"
    if content is not None:
        file.write_bytes(content)
    status, said, complained = command(house, "ask", "--file", str(file))
    assert (status, said) == (1, "")
    assert complaint in complained
    assert len(complained.splitlines()) == 1


@pytest.mark.parametrize("count", [3, 5000])
def test_who_has_seen_enough_ends_it_quietly(house: Server, tmp_path: Path, count: int) -> None:
    """As ``| head -1`` does: closes the pipe while there is more to say, or just before the end."""
    file = tmp_path / "questions.txt"
    file.write_text("能包成礼物吗\n" * count, "utf-8")
    process = start_command(house, "ask", "--json", "--file", str(file))
    assert process.stdin and process.stdout and process.stderr
    process.stdin.close()
    if count > 3:
        assert json.loads(process.stdout.readline())["source"] == "gift_wrapping"
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(60) == 0


# ---- a house that stands still, and one that is empty ----------------------------------------------------------------


def test_a_house_that_stands_still_answers_all_the_same(house: Server) -> None:
    house.stop()
    try:
        (told,) = objects(house, "ask", "能包成礼物吗")
        assert told["source"] == "gift_wrapping"
        (group, *_) = objects(house, "gaps")
        assert group["count"] == 4
    finally:
        house.start()  # which needs the port and the folder: nobody else holds them any more


def test_an_empty_graph_is_said(tmp_path: Path) -> None:
    empty = Embedded(tmp_path / "empty")
    empty.folder.mkdir()
    for arguments in (("ask", "能包成礼物吗"), ("ask", "--json", "能包成礼物吗")):
        status, said, complained = command(empty, *arguments)
        assert (status, said) == (1, "")
        assert complained.splitlines() == [
            "there are no answers in the graph: `make graph-sync` brings them / 图谱里还没有答案"
        ]
    assert (empty.folder / "graph" / "databases" / DATABASE).exists()


def test_a_graph_that_refuses_is_said(house: Server) -> None:
    access = {"GRAPH_URI": house.uri, "GRAPH_PASSWORD": "another"}
    status, said, complained = command(house, "ask", "能包成礼物吗", **access)
    assert (status, said, complained) == (1, "", "the graph refuses GRAPH_USER and GRAPH_PASSWORD\n")


# ---- gaps ------------------------------------------------------------------------------------------------------------


def test_gaps_that_are_alike_stand_together(house: Server) -> None:
    assert objects(house, "gaps") == [
        {
            "count": 4,
            "topic": "delivery",
            "last_asked": "2026-03-11T12:04:00+08:00",
            "texts": ["能送到火星吗", "火星能送到吗"],
        },
        {
            "count": 2,
            "topic": None,
            "last_asked": "2026-03-11T12:05:00+08:00",
            "texts": ["支持刷脸支付吗", "支持刷脸付款吗"],
        },
    ]


def test_gaps_for_people(house: Server) -> None:
    status, said, complained = command(house, "gaps")
    assert (status, complained) == (0, "")
    first, second = said.splitlines()
    assert first.split() == ["4", "03-11", "12:04", "delivery", "能送到火星吗", "（还有：火星能送到吗）"]
    assert second.split() == ["2", "03-11", "12:05", "-", "支持刷脸支付吗", "（还有：支持刷脸付款吗）"]
    assert command(house, "gaps", "--limit", "1")[1].splitlines() == [first]


def test_gaps_without_their_key_are_said(house: Server) -> None:
    keyring = house.folder / "keyring.json"
    keyring.rename(house.folder / "elsewhere.json")
    try:
        status, said, complained = command(house, "gaps")
    finally:
        (house.folder / "elsewhere.json").rename(keyring)
    assert (status, said) == (1, "")
    assert "Traceback" not in complained
    assert "火星" not in complained
