"""What the picture of the stack shows of a conversation, and that a look into a customer's one is on record."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from sqlalchemy import insert

import settings
from connectors.dashboard.turns import Turn, read_turns
from connectors.messages import caller
from mall_adapter import open_desk
from ops import stack_picture
from ops.stack_picture import COLUMNS, MARGIN, NAMES, PAD, WIDTH, draw, wrapped
from privacy import current_ring
from privacy.conversations import conversation_of, seal_events
from privacy.tables import conversation_event
from storage import create_engine, migrate

SVG = "{http://www.w3.org/2000/svg}"
XSS = "</text><script>alert('&')</script>"
NOON = 1_773_201_600.0  # 2026-03-11 04:00 UTC


def frame(flow: str, status: str = "open", **more: Any) -> dict[str, Any]:
    return {"flow": flow, "status": status, **more}


def said(
    number: int,
    text: str,
    commands: list[list[str]],
    stack: list[dict[str, Any]],
    *answers: str,
    actions: tuple[str, ...] = (),
) -> list[dict[str, Any]]:
    return [
        {"event": "user", "text": text, "timestamp": NOON, "parse_data": {}},
        *({"event": "action", "name": name} for name in (*actions, "action_listen")),
        *({"event": "bot", "text": answer, "data": {}, "metadata": {}} for answer in answers),
        {"event": "slot", "name": "dialogue", "value": {"turn": number, "commands": commands, "stack": stack}},
    ]


RETURN = [
    said(
        1,
        "我想退货",
        [["StartFlow after_sales={'ticket_kind': 'return'}", "intent request_return 0.93"]],
        [frame("after_sales", asked="order_id", asked_in=1, asks={"order_id": 1})],
        "请提供订单号",
        actions=("action_ask_order_id",),
    ),
    said(
        2,
        "运费谁出",
        [["StartFlow ask_policy", "intent ask_policy 0.95"]],
        [frame("after_sales", asked="order_id", asked_in=2, asks={"order_id": 2})],
        "您付",
        "接着说订单号",
    ),
    said(
        3,
        "开发票",
        [["StartFlow request_invoice", "intent request_invoice 0.9"]],
        [
            frame("after_sales", "waiting", asked="order_id", asked_in=2),
            frame("request_invoice", asked="invoice_kind", asked_in=3, asks={"invoice_kind": 1}),
        ],
        "个人还是公司",
    ),
    said(
        4, "等等", [["Wait", "act wait"]], [frame("after_sales", "parked"), frame("request_invoice", asked="x")], "好"
    ),
    said(5, "算了", [["Cancel", "a stop"]], [], "好的"),
    said(6, "哦", [["Acknowledge", "act ack"]], [], "嗯"),
]


def turns(talk: list[list[dict[str, Any]]]) -> list[Turn]:
    return read_turns(event for events in talk for event in events)


def texts(picture: str) -> dict[str, ElementTree.Element]:
    """The elements by what stands in them."""
    found = ElementTree.fromstring(picture).iter(f"{SVG}text")  # noqa: S314 (our own)
    return {element.text or "": element for element in found}


def look(element: ElementTree.Element) -> set[str]:
    return set(element.get("class", "").split())


def place(element: ElementTree.Element) -> tuple[float, float]:
    return float(element.get("x", 0)), float(element.get("y", 0))


@pytest.mark.parametrize(
    ("number", "shows", "looks"),
    [
        pytest.param(0, "我想退货", {"said"}, id="what the customer said"),
        pytest.param(0, "StartFlow after_sales", {"code"}, id="a command, without what else the wish says"),
        pytest.param(0, "intent request_return 0.93", {"soft"}, id="its reason"),
        pytest.param(0, "asks order_id", {"strong"}, id="the open question"),
        pytest.param(0, "action_ask_order_id", {"code", "soft"}, id="what was done"),
        pytest.param(0, "请提供订单号", set(), id="the answer"),
        pytest.param(1, "asks order_id (2×)", {"strong"}, id="for the second time"),
        pytest.param(1, "came and went", {"pale"}, id="what was answered on the way"),
        pytest.param(2, "after_sales", {"code", "pale"}, id="a flow that waits is pale"),
        pytest.param(2, "waiting", {"pale"}, id="and says so"),
        pytest.param(2, "asked order_id", {"soft", "pale"}, id="its question is not the one on the screen"),
        pytest.param(3, "parked", {"pale"}, id="a flow that was left"),
        pytest.param(3, "asked x", {"soft"}, id="a question that is not repeated"),
        pytest.param(4, "gone", {"pale"}, id="what was there"),
        pytest.param(5, "empty", {"pale"}, id="nothing is there"),
    ],
)
def test_what_a_turn_shows(number: int, shows: str, looks: set[str]) -> None:
    before = turns(RETURN)[:number]
    column = texts(draw([*before, turns(RETURN)[number]]))
    assert look(column[shows]) == looks


def test_the_top_of_the_stack_is_on_top_and_turns_stand_side_by_side() -> None:
    picture = texts(draw(turns(RETURN)[:3]))
    assert place(picture["asks invoice_kind"])[1] < place(picture["waiting"])[1]
    assert place(picture["我想退货"])[0] < place(picture["运费谁出"])[0] < place(picture["开发票"])[0]
    assert place(picture["我想退货"])[1] == place(picture["开发票"])[1]


@pytest.mark.parametrize("count", [0, 1, COLUMNS, COLUMNS + 1, 4 * COLUMNS - 1])
def test_everything_is_within_the_picture(count: int) -> None:
    long = "一" * 500 + "supercalifragilistic_" * 30 + "A" * 300
    talk = [
        said(n, long, [[f"SetSlot {long}", long]] * 3, [frame(long, asked=long, asked_in=n)] * 4, long, actions=(long,))
        for n in range(count)
    ]
    drawn = draw(turns(talk))
    svg = ElementTree.fromstring(drawn)  # noqa: S314
    height = float(svg.get("viewBox", "").split()[-1])
    for box in svg.iter(f"{SVG}rect"):
        assert float(box.get("x", 0)) + float(box.get("width", 0)) <= WIDTH
        assert float(box.get("y", 0)) + float(box.get("height", 0)) <= height
    for element in svg.iter(f"{SVG}text"):
        x, y = place(element)
        assert y < height
        assert x + stack_picture._width(element.text or "") * float(element.get("font-size", 0)) <= WIDTH - MARGIN
        assert x == MARGIN or x >= MARGIN + NAMES


@pytest.mark.parametrize("strange", [XSS, "a\x00b\x1f￾", "]]>", "<!--", "&amp;", "👩‍👩‍👧 ‮abc"])
def test_nothing_that_is_said_becomes_a_part_of_the_picture(strange: str) -> None:
    talk = [said(1, strange, [[strange, strange]], [frame(strange, asked=strange, asked_in=1)], strange)]
    svg = ElementTree.fromstring(draw(turns(talk)))  # noqa: S314
    tags = {element.tag for element in svg.iter()}
    assert tags == {SVG + name for name in ("svg", "title", "style", "rect", "line", "text")}


@pytest.mark.parametrize(
    ("text", "most", "lines"),
    [
        ("", 2, []),
        (" \n ", 2, []),
        ("五个字一行好吗", 2, ["五个字一行", "好吗"]),
        ("五个字一行，好吗", 2, ["五个字一行，", "好吗"]),
        ("五个字一（行）", 2, ["五个字一", "（行）"]),
        ("一二三四五六七八九十百千", 2, ["一二三四五", "六七八九…"]),
        ("action_ask", 3, ["action_", "ask"]),
        ("two words", 2, ["two", "words"]),
        ("abcdefghijklmnop", 2, ["abcdefgh", "ijklmnop"]),
        ("abcdefghijklmnopq", 2, ["abcdefgh", "ijklmn…"]),
        ("五个字一行 ", 1, ["五个字一行"]),
    ],
)
def test_long_words(text: str, most: int, lines: list[str]) -> None:
    assert [line.text for line in wrapped(text, 50, most, 10, "")] == lines


def test_a_turn_at_the_desk_and_a_tap() -> None:
    talk: list[dict[str, Any]] = [
        {"event": "user", "text": "转人工", "parse_data": {}},
        {"event": "bot", "text": "排队中", "data": {"buttons": [{"title": "不等了", "payload": "/stop"}]}},
        {"event": "pause"},
        {"event": "bot", "text": "小王来了", "data": {}, "metadata": {"by": "desk"}},
        {"event": "user", "text": "/stop", "parse_data": {}},
    ]
    picture = texts(draw(read_turns(talk)))
    assert {"转人工", "小王来了", "[不等了]"} <= set(picture)
    assert "/stop" not in picture


# ---- where it comes from ---------------------------------------------------------------------------------------------


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of its own; the picture of the documentation is out of reach."""
    for name in ("DATABASE_URL", "KEYRING_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "var"))
    monkeypatch.setattr(stack_picture, "PICTURE", tmp_path / "stack.svg")
    settings.data_dir().mkdir()
    asyncio.run(migrate(settings.database_url()))
    return tmp_path


def store(sender: str) -> str:
    async def work() -> str:
        async with open_desk():  # makes the key ring
            ring = current_ring()
        row = seal_events(ring, sender, 0, 0, [event for events in RETURN for event in events])
        engine = create_engine(settings.database_url())
        async with engine.begin() as connection:
            await connection.execute(insert(conversation_event), vars(row))
        await engine.dispose()
        return conversation_of(ring, sender)

    return asyncio.run(work())


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["stack_picture", *arguments])
    return stack_picture.main()


def test_a_customers_words_stay_in_the_house_and_the_look_is_on_record(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = store("web:somebody")
    assert run(monkeypatch, "--conversation", conversation, "--last", "3") == 0
    [picture] = (house / "var").glob("*.svg")
    assert picture.stat().st_mode & 0o777 == 0o600
    assert set(texts(picture.read_text("utf-8"))) >= {"等等", "算了"}
    assert "我想退货" not in picture.read_text("utf-8")
    assert not (house / "stack.svg").exists()

    async def viewings() -> list[str]:
        async with open_desk() as desk:
            excerpt = await desk.look_into(await desk.operator("小王", "dashboard"), conversation)
        return [viewing.operator for viewing in excerpt.viewings]

    [looked] = asyncio.run(viewings())
    assert looked.endswith(", stack-picture")


def test_the_sample_is_said_and_drawn(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []

    def talk(lines: list[str]) -> str:
        heard.extend(lines)
        store(caller(current_ring().derive("api_sender"), "me"))
        return "me"

    store("web:somebody else")
    monkeypatch.setattr(stack_picture, "talk", talk)
    assert run(monkeypatch) == 0
    assert "5678" in heard
    assert "我想退货" in texts((house / "stack.svg").read_text("utf-8"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(("--conversation", "0" * 64), "no such conversation", id="nobody's"),
        pytest.param(("--conversation", "../../etc"), "2", id="no address"),
        pytest.param((), "make run", id="nobody at home"),
    ],
)
def test_what_cannot_be_drawn(
    house: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], says: str
) -> None:
    store("web:somebody")
    monkeypatch.setenv("GATEWAY_PORT", "9")  # nothing listens there
    with pytest.raises(SystemExit) as refused:
        run(monkeypatch, *arguments)
    assert says in str(refused.value)
    assert not list(house.rglob("*.svg"))


def test_the_picture_has_room_for_words() -> None:
    assert (WIDTH - 2 * MARGIN - NAMES) / COLUMNS - 2 * PAD > 12 * 15, "twelve characters of the customer's in a line"
