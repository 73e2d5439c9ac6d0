"""Constraints and indexes on both servers."""

from __future__ import annotations

import asyncio

import pytest
from neo4j.exceptions import ConstraintError

from knowledge_graph import Graph
from knowledge_graph.catalogue import sync
from knowledge_graph.migrations import MIGRATIONS, migrate
from tests.knowledge_graph.servers import Server
from tests.knowledge_graph.test_catalogue import NEAR, SHELF

UNIQUE = {
    *("User", "Card", "Product", "Category", "Brand", "Supplier", "Attribute"),
    *("Faq", "Policy", "Topic", "Gap", "Feedback", "Vote", "Migration"),
    *("Alias", "Interest", "Copy", "Lead", "Level", "Reader", "Sales"),
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


async def test_what_an_older_graph_says_of_prices_and_stock_is_forgotten(graph: Graph) -> None:
    await sync(graph, SHELF, [("K1", "M1")], NEAR)
    await graph.write(
        "MATCH (p:Product) SET p.price_min_cents = 9900, p.price_max_cents = 12900, p.in_stock = true, p.version = '0'"
    )
    await graph.write("MATCH ()-[near:SUBSTITUTE_FOR]->() SET near.rank = 1")
    await graph.write("MATCH (n:Migration) WHERE n.id > 3 DELETE n")
    assert await migrate(graph) == [4, 5, 6]
    await sync(graph, SHELF, [("K1", "M1")], NEAR)
    kept = await graph.read("MATCH (p:Product) UNWIND keys(p) AS name RETURN DISTINCT name ORDER BY name")
    assert [row["name"] for row in kept] == ["id", "image", "links", "name", "version", "words"]
    kept = await graph.read(
        "MATCH ()-[near:SUBSTITUTE_FOR]->() RETURN sum(size(keys(near))) AS names, count(*) AS edges"
    )
    assert kept == [{"names": 0, "edges": 6}]
