"""The picture around a node."""

from __future__ import annotations

import pytest

from knowledge_graph import Graph
from knowledge_graph.catalogue import sync
from knowledge_graph.content import load
from knowledge_graph.entries import Content, Entry
from knowledge_graph.neighbourhood import Edge, Neighbourhood, Node, around, find
from tests.knowledge_graph.test_catalogue import NEAR, SHELF, kettle

WATER = Node("Product", "M1", "净谷 净水器")
FILTERS = Node("Category", "净水器", "净水器")
KETTLE = Node("Product", "K1", "禾炊 电水壶 1 号")


def told(picture: Neighbourhood | None) -> set[tuple[str, str, str]]:
    assert picture
    return {(edge.source.name, edge.kind, edge.target.name) for edge in picture.edges}


async def test_one_hop(graph: Graph) -> None:
    await sync(graph, SHELF, [("K1", "M1")], NEAR)
    picture = await around(graph, "Product", "M1")
    assert picture and picture.nodes[0] == WATER
    assert Edge("IN_CATEGORY", WATER, FILTERS) in picture.edges
    assert Edge("COMPATIBLE_WITH", KETTLE, WATER) in picture.edges
    assert told(picture) == {
        ("净谷 净水器", "IN_CATEGORY", "净水器"),
        ("净谷 净水器", "OF_BRAND", "净谷"),
        ("净谷 净水器", "SUPPLIED_BY", "净谷水业"),
        ("净谷 净水器", "HAS", "滤芯：RO"),
        ("禾炊 电水壶 1 号", "COMPATIBLE_WITH", "净谷 净水器"),
    }


async def test_two_hops(graph: Graph) -> None:
    await sync(graph, SHELF, [("K1", "M1")], NEAR)
    near, far = await around(graph, "Product", "M1"), await around(graph, "Product", "M1", hops=2)
    assert near and far and near.nodes[0] == far.nodes[0] == WATER
    assert told(near) < told(far)
    others = {edge for edge in told(far) if "净谷 净水器" not in edge}
    assert others and all("禾炊 电水壶 1 号" in edge for edge in others)


@pytest.mark.parametrize("hops", [1, 2])
@pytest.mark.parametrize("limit", [1, 3, 20])
async def test_a_crowd_is_cut(graph: Graph, hops: int, limit: int) -> None:
    await sync(graph, [kettle(number) for number in range(60)])
    picture = await around(graph, "Category", "电水壶", hops, limit)  # type: ignore[arg-type]
    assert picture and len(picture.nodes) == limit
    assert picture.nodes[0].label == "Category"
    assert all(edge.source in picture.nodes and edge.target in picture.nodes for edge in picture.edges)
    assert len(picture.edges) >= limit - 1


async def test_a_node_without_neighbours_and_none_at_all(graph: Graph) -> None:
    await graph.write("CREATE (:User {id: 'U1'})")
    assert await around(graph, "User", "U1", 2) == Neighbourhood((Node("User", "U1", "U1"),), ())
    for label, node_id in (("User", "U2"), ("Planet", "U1"), ("User) DETACH DELETE (n", "U1")):
        assert await around(graph, label, node_id) is None


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("净水器", ["Category 净水器", "Product M1"]),  # the closest first
        ("电水壶 1", ["Product K1"]),
        ("M1", ["Product M1"]),
        ("  ", ["Category 净水器", "Category 电水壶"]),
        ("大象", []),
    ],
)
async def test_finding_a_node(graph: Graph, words: str, found: list[str]) -> None:
    await sync(graph, SHELF)
    assert [f"{node.label} {node.id}" for node in await find(graph, words)] == found
    assert len(await find(graph, words, limit=1)) == min(len(found), 1)


async def test_finding_an_answer_by_how_it_is_asked(graph: Graph) -> None:
    answer = Entry("scale", "faq", "product_question", "电水壶有水垢", "放点白醋。", ("壶底发白怎么办", "Descale?"), {})
    other = Entry("white", "faq", "product_question", "壶底发白", "不影响使用。", ("白点是什么",), {})
    await load(graph, Content((answer, other), ()))
    assert [node.id for node in await find(graph, "壶底发白")] == ["white", "scale"]  # a title is closer
    assert [node.label for node in await find(graph, "")] == ["Topic"]
