"""Constraints and indexes on both servers."""

from __future__ import annotations

import asyncio

import pytest
from neo4j.exceptions import ConstraintError

from knowledge_graph import Graph
from knowledge_graph.migrations import MIGRATIONS, migrate
from tests.knowledge_graph.servers import Server

UNIQUE = {
    *("User", "Card", "Product", "Category", "Brand", "Supplier", "Attribute"),
    *("Faq", "Policy", "Topic", "Gap", "Feedback", "Vote", "Migration"),
}


async def test_a_second_run_has_nothing_to_do(graph: Graph) -> None:
    assert await migrate(graph) == []


async def test_every_kind_of_node_has_one_of_each_id(graph: Graph) -> None:
    shown = await graph.read("SHOW CONSTRAINTS YIELD labelsOrTypes, properties RETURN labelsOrTypes, properties")
    assert {row["labelsOrTypes"][0] for row in shown if row["properties"] == ["id"]} == UNIQUE
    await graph.write("CREATE (:Product {id: 'P1'})")
    with pytest.raises(ConstraintError):
        await graph.write("CREATE (:Product {id: 'P1'})")


async def test_many_may_migrate_at_once_and_again_after_a_crash(server: Server, graph: Graph) -> None:
    await graph.write("MATCH (n:Migration) DELETE n")  # as if it had crashed before the record
    applied = await asyncio.gather(*(migrate(graph) for _ in range(4)))
    assert max(applied) == list(range(1, len(MIGRATIONS) + 1))
    assert await graph.read("MATCH (n:Migration) RETURN n.id AS id ORDER BY id") == [
        {"id": number + 1} for number in range(len(MIGRATIONS))
    ]
