"""Forwarded cards."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from knowledge_graph import Graph
from knowledge_graph.spread import Forward, load, reach

NOON = datetime(2026, 3, 11, 4, 0, tzinfo=UTC)


def forwards(*pairs: str, card: str = "C1") -> list[Forward]:
    return [Forward(pair[0], pair[1], card, "wechat", NOON, 1) for pair in pairs]


@pytest.mark.parametrize(
    ("passed", "people"),
    [
        (["AB", "BC", "CD", "DE"], 3),  # E is one hand too far
        (["AB", "AC", "BD", "CD"], 3),  # D is reached twice and counted once
        (["AB", "BA"], 1),  # back to where it came from
        (["BA"], 0),
    ],
)
async def test_people_reached_by_three_hands(graph: Graph, passed: list[str], people: int) -> None:
    await load(graph, forwards(*passed))
    assert await reach(graph, "A") == people


async def test_a_forward_stands_once_for_each_card(graph: Graph) -> None:
    assert await load(graph, forwards("AB", "BC")) == 2
    await load(graph, forwards("AB", "BC"))
    await load(graph, forwards("AB", card="C2"))
    edges = await graph.read(
        "MATCH (a)-[f:FORWARDED]->() RETURN a.id AS a, f.card AS card, f.depth AS d ORDER BY card, a"
    )
    assert [(row["a"], row["card"], row["d"]) for row in edges] == [("A", "C1", 1), ("B", "C1", 1), ("A", "C2", 1)]
