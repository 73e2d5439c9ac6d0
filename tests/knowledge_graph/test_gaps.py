"""Unanswered questions and thumbs."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import encoder
import settings
from knowledge_graph import Graph, feedback, gaps
from knowledge_graph.feedback import Feedback
from knowledge_graph.gaps import Gap
from knowledge_graph.migrations import migrate
from privacy import KeyRing, current_ring
from privacy.cipher import seal
from privacy.conversations import conversation_of

NOON = datetime(2026, 3, 11, 4, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def key_ring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("KEYRING_FILE", str(tmp_path / "keyring.json"))
    KeyRing.load_or_create(settings.keyring_file())
    yield


async def test_the_most_asked_come_first(graph: Graph) -> None:
    for minute, (text, topic) in enumerate(
        [("能送火星吗", "delivery"), ("支持刷脸吗", None), ("能送 火星 吗？？", "delivery"), ("有没有样品", "presale")]
    ):
        await gaps.record(graph, text, topic, NOON + timedelta(minutes=minute))
    assert await gaps.most_asked(graph) == [
        Gap("能送火星吗", "delivery", 2, NOON + timedelta(minutes=2)),
        Gap("有没有样品", "presale", 1, NOON + timedelta(minutes=3)),
        Gap("支持刷脸吗", None, 1, NOON + timedelta(minutes=1)),
    ]
    assert len(await gaps.most_asked(graph, limit=1)) == 1


@pytest.mark.parametrize("by_meaning", [True, False])
async def test_like_questions_are_one_need(graph: Graph, by_meaning: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """By meaning, and by their characters where there is no encoder; the most asked need first."""
    if not by_meaning:
        monkeypatch.setattr(encoder, "load", lambda: None)
    elif encoder.load() is None:
        pytest.skip("there is no encoder here")
    for minute, text in enumerate(
        ["有没有样品", "有没有样品", "能送火星吗", "火星能送吗", "火星，能送吗？", "能送到火星吗", "支持刷脸吗"]
    ):
        await gaps.record(graph, text, "delivery" if "送" in text else None, NOON + timedelta(minutes=minute))
    found = await gaps.clusters(graph)
    assert [(one.texts[0], set(one.texts), one.topic, one.count, one.last_asked) for one in found] == [
        (
            *("火星能送吗", {"能送火星吗", "火星能送吗", "能送到火星吗"}, "delivery", 4),
            NOON + timedelta(minutes=5),
        ),
        ("有没有样品", {"有没有样品"}, None, 2, NOON + timedelta(minutes=1)),
        ("支持刷脸吗", {"支持刷脸吗"}, None, 1, NOON + timedelta(minutes=6)),
    ]
    assert await gaps.clusters(graph, limit=1) == found[:1]


async def test_no_gaps_no_clusters(graph: Graph) -> None:
    assert await gaps.clusters(graph) == []


@pytest.mark.parametrize(("one", "other", "same"), [("Wi-Fi 密码", "ｗｉｆｉ密码", True), ("？", "！", False)])
async def test_what_is_the_same_question(graph: Graph, one: str, other: str, same: bool) -> None:
    await gaps.record(graph, one, None)
    await gaps.record(graph, other, None)
    assert [gap.count for gap in await gaps.most_asked(graph)] == ([2] if same else [1, 1])


async def test_a_customers_words_cannot_be_read_in_the_graph(graph: Graph) -> None:
    await gaps.record(graph, "我是欧阳梨花13977776543", None)
    (row,) = await graph.read("MATCH (n:Gap) RETURN n.id + n.text AS stored")
    assert not any(word in row["stored"] for word in ("欧阳", "梨花", "1397777"))


async def test_no_question_is_lost_when_many_ask_it_at_once(graph: Graph) -> None:
    await asyncio.gather(*(gaps.record(graph, "能送火星吗", "delivery") for _ in range(20)))
    assert [gap.count for gap in await gaps.most_asked(graph)] == [20]


async def test_thumbs_are_counted_for_their_source(graph: Graph) -> None:
    for source, helpful in (("cod", True), ("cod", False), ("cod", False), ("invoice", True), ("coupon", False)):
        await feedback.record(graph, source, helpful)
    assert await feedback.worst(graph) == [
        Feedback("cod", up=1, down=2),
        Feedback("coupon", up=0, down=1),
        Feedback("invoice", up=1, down=0),
    ]
    assert await feedback.worst(graph, limit=1) == [Feedback("cod", up=1, down=2)]


@pytest.mark.parametrize(
    ("thumbs", "up", "down"),
    [
        (["A👍"], 1, 0),
        (["A👍", "A👍", "A👍"], 1, 0),
        (["A👍", "A👎"], 0, 1),
        (["A👎", "A👍", "A👍"], 1, 0),
        (["A👎", "A👍", "A👎"], 0, 1),
        (["A👍", "B👍", "C👎", "A👎"], 1, 2),
    ],
)
async def test_a_voter_has_one_thumb(graph: Graph, thumbs: list[str], up: int, down: int) -> None:
    await feedback.record(graph, "other", True, "A")
    for thumb in thumbs:
        await feedback.record(graph, "cod", thumb[1] == "👍", voter=thumb[0])
    assert await feedback.of(graph, "cod") == Feedback("cod", up, down)
    assert await feedback.of(graph, "other") == Feedback("other", 1, 0)
    assert await feedback.of(graph, "never judged") == Feedback("never judged", 0, 0)


async def test_many_taps_at_once_are_one_thumb(graph: Graph) -> None:
    await asyncio.gather(*(feedback.record(graph, "cod", True, "A") for _ in range(10)))
    assert await feedback.of(graph, "cod") == Feedback("cod", 1, 0)
    await asyncio.gather(*(feedback.record(graph, "cod", False, "A") for _ in range(10)))
    assert await feedback.of(graph, "cod") == Feedback("cod", 0, 1)


# ---- keys and places ----


async def gap_rows(graph: Graph) -> list[dict[str, str]]:
    return await graph.read("MATCH (n:Gap) RETURN n.id AS id, n.text AS text ORDER BY n.count DESC, n.id")


async def test_a_question_opens_at_its_own_node_only_and_the_others_are_still_shown(graph: Graph) -> None:
    for text, times in (("能送火星吗", 3), ("有没有样品", 2), ("支持刷脸吗", 1)):
        for _ in range(times):
            await gaps.record(graph, text, None, NOON)
    one, other, _ = await gap_rows(graph)
    await graph.write("MATCH (n:Gap {id: $id}) SET n.text = $text", id=one["id"], text=other["text"])
    assert [gap.text for gap in await gaps.most_asked(graph)] == [gaps.DAMAGED, "有没有样品", "支持刷脸吗"]


async def test_what_was_sealed_for_every_node_alike_is_bound_once(graph: Graph) -> None:
    await gaps.record(graph, "能送火星吗", None, NOON)
    (row,) = await gap_rows(graph)
    old = b64encode(seal(current_ring(), "能送火星吗".encode(), b"gap.text")).decode()
    await graph.write("MATCH (n:Gap {id: $id}) SET n.text = $text REMOVE n.layers", id=row["id"], text=old)
    assert [gap.text for gap in await gaps.most_asked(graph)] == [gaps.DAMAGED]
    await graph.write("MATCH (n:Migration {id: 3}) DELETE n")
    assert await migrate(graph) == [3]
    assert [gap.text for gap in await gaps.most_asked(graph)] == ["能送火星吗"]
    await graph.write("MATCH (n:Gap {id: $id}) SET n.text = $text", id=row["id"], text=old)
    assert await migrate(graph) == []
    assert [gap.text for gap in await gaps.most_asked(graph)] == [gaps.DAMAGED]


async def test_questions_and_votes_follow_new_keys(graph: Graph) -> None:
    voter = current_ring().hash("feedback.voter", "visitor cod")
    await gaps.record(graph, "能送火星吗", "delivery", NOON)
    await gaps.record(graph, "有没有样品", None, NOON)
    await feedback.record(graph, "cod", True, voter)
    assert await gaps.usage(graph) == {1: 2}
    assert await gaps.reseal(graph, current_ring().rotate()) == 2
    assert await gaps.usage(graph) == {2: 2}

    ring = current_ring().rotate_index()
    await gaps.record(graph, "能送火星吗", "delivery", NOON + timedelta(minutes=1))  # before the graph has followed
    await migrate(graph)
    await migrate(graph)
    assert [(gap.text, gap.count) for gap in await gaps.most_asked(graph)] == [("能送火星吗", 2), ("有没有样品", 1)]
    await gaps.record(graph, "有没有样品？", None, NOON)
    assert [gap.count for gap in await gaps.most_asked(graph)] == [2, 2]
    await feedback.record(graph, "cod", False, ring.hash("feedback.voter", "visitor cod"))
    assert await feedback.of(graph, "cod") == Feedback("cod", 0, 1)


# ---- whose a question was ----


async def test_a_question_knows_the_conversations_in_which_it_was_asked(graph: Graph) -> None:
    ann, ben = (conversation_of(current_ring(), sender) for sender in ("web:ann", "web:ben"))
    for sender in ("web:ann", "web:ben", "web:ann", None):
        await gaps.record(graph, "能送火星吗", None, NOON, sender=sender)
    await gaps.record(graph, "有没有样品", None, NOON, sender="web:ben")
    assert [gap.conversations for gap in await gaps.most_asked(graph)] == [(ann, ben), (ben,)]
    assert [(gap.text, gap.count) for gap in await gaps.asked_in(graph, [ann])] == [("能送火星吗", 4)]
    assert len(await gaps.asked_in(graph, [ann, ben])) == 2
    assert await gaps.asked_in(graph, ["0" * 64]) == await gaps.asked_in(graph, []) == []
    rows = await graph.read("MATCH (n:Gap) RETURN properties(n) AS all")
    assert "web:" not in str(rows)


async def test_whose_words_they_are_is_kept_however_many_ask(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gaps, "KEPT", 3)
    for number in range(5):
        await gaps.record(graph, "能送火星吗", None, NOON, sender=f"web:{number}")
    (gap,) = await gaps.most_asked(graph)
    assert (gap.count, gap.conversations) == (
        5,
        tuple(conversation_of(current_ring(), f"web:{number}") for number in range(3)),
    )


async def test_askers_follow_the_index_key(graph: Graph) -> None:
    for sender in ("web:ann", "web:ben"):
        await gaps.record(graph, "能送火星吗", None, NOON, sender=sender)
    ring = current_ring().rotate_index()
    await gaps.record(graph, "能送火星吗", None, NOON, sender="web:ben")  # before the graph has followed
    await gaps.follow_index(graph, ring)
    (gap,) = await gaps.most_asked(graph)
    assert gap.count == 3
    assert set(gap.conversations) == {conversation_of(ring, sender) for sender in ("web:ann", "web:ben")}
