from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from privacy import KeyRing, TamperedError
from privacy.conversations import Row, conversation_of, open_events, open_sender, seal_events

SENDER = "web:4f2a"
TURNS = [
    [{"event": "action", "name": "action_session_start"}, {"event": "session_started"}],
    [{"event": "user", "text": "我想退货"}, {"event": "bot", "text": "请提供订单号"}],
    [{"event": "user", "text": "ORD12345"}],
    [{"event": "user", "text": "颜色不喜欢"}, {"event": "bot", "text": "工单已创建"}],
]


@pytest.fixture
def ring(data_dir: Path) -> KeyRing:
    return KeyRing.load_or_create(data_dir / "keyring.json")


def sealed(ring: KeyRing, sender: str = SENDER) -> list[Row]:
    rows: list[Row] = []
    for turn in TURNS:
        rows.append(seal_events(ring, sender, sum(row.length for row in rows), 0, turn))
    return rows


def test_rows_open_to_the_events_in_order(ring: KeyRing) -> None:
    rows = sealed(ring)
    assert [(row.position, row.length) for row in rows] == [(0, 2), (2, 2), (4, 1), (5, 2)]
    assert open_events(ring, rows, first=0) == [event for turn in TURNS for event in turn]
    assert open_events(ring, rows[2:], first=4) == [*TURNS[2], *TURNS[3]]
    assert open_sender(ring, rows[0]) == SENDER


def test_a_row_shows_nothing(ring: KeyRing) -> None:
    event: dict[str, Any] = {"event": "user", "text": "我想退货 ORD12345", "parse_data": {"intent": "request_return"}}
    row = seal_events(ring, SENDER, 0, 0, [event])
    shown = row.sealed + row.conversation.encode()
    for word in ("我想退货", "\\u6211", "ORD12345", "request_return", "user", SENDER):
        assert word.encode() not in shown


def test_senders_are_hashed_with_the_key(ring: KeyRing, data_dir: Path) -> None:
    other = KeyRing.load_or_create(data_dir / "other.json")
    hashes = {conversation_of(ring, SENDER), conversation_of(ring, SENDER + "0"), conversation_of(other, SENDER)}
    assert len(hashes) == 3
    assert conversation_of(ring.rotate(), SENDER) in hashes


@pytest.mark.parametrize(
    "tamper",
    [
        pytest.param(lambda rows, _: [rows[0], replace(rows[1], sealed=rows[3].sealed), *rows[2:]], id="copied"),
        pytest.param(lambda rows, _: [rows[0], rows[2], rows[1], rows[3]], id="swapped"),
        pytest.param(lambda rows, _: [replace(rows[0], sealed=rows[0].sealed[:-1] + b"\0"), *rows[1:]], id="changed"),
        pytest.param(lambda rows, _: [replace(rows[0], sealed=rows[0].sealed[:40]), *rows[1:]], id="cut"),
        pytest.param(lambda rows, _: [replace(rows[0], sealed=b""), *rows[1:]], id="emptied"),
        pytest.param(lambda rows, _: [rows[0], replace(rows[2], position=2), *rows[1:2]], id="moved"),
        pytest.param(lambda rows, _: [*rows[:3], replace(rows[3], length=1)], id="another length"),
        pytest.param(lambda rows, _: [*rows[:3], replace(rows[3], session=5)], id="another session"),
        pytest.param(lambda rows, _: [rows[0], *rows[2:]], id="middle removed"),
        pytest.param(lambda rows, _: rows[1:], id="first removed"),
        pytest.param(lambda rows, _: [rows[0], *rows], id="repeated"),
        pytest.param(
            lambda rows, others: [*rows[:3], replace(others[3], conversation=rows[3].conversation)],
            id="from another conversation",
        ),
    ],
)
def test_tampering_is_noticed(tamper: Callable[[list[Row], list[Row]], list[Row]], ring: KeyRing) -> None:
    rows = tamper(sealed(ring), sealed(ring, "web:somebody else"))
    with pytest.raises(TamperedError):
        open_events(ring, rows, first=0)
