"""The catalogue in the graph: a small shelf that can be known by heart."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from knowledge_graph import Graph, Product
from knowledge_graph.catalogue import Counts, sync
from knowledge_graph.products import compare, compatible, find, product, products, substitutes


def kettle(number: int, brand: str = "禾炊", **attributes: str) -> Product:
    return Product(
        id=f"K{number}",
        name=f"{brand} 电水壶 {number} 号",
        brand=brand,
        category="电水壶",
        supplier_id="S1",
        supplier="宁波禾炊小家电有限公司",
        image=f"k{number}.jpg",
        attributes=attributes,
    )


SHELF = [
    kettle(1, 容量="1.5 L", 材质="不锈钢", 功率="1800 W"),
    kettle(2, 容量="1.7 L", 材质="玻璃"),
    kettle(3, brand="厨小满", 材质="不锈钢"),
    kettle(4, brand="厨小满", 材质="陶瓷"),
    Product("M1", "净谷 净水器", "净谷", "净水器", "S2", "净谷水业", None, {"滤芯": "RO"}),
]
NEAR = {"K1": ("K3", "K2"), "K2": ("K1", "K3"), "K3": ("K1", "K2", "gone")}


async def nodes_and_edges(graph: Graph) -> tuple[dict[str, int], dict[str, int]]:
    nodes = await graph.read("MATCH (n) WHERE NOT n:Migration RETURN labels(n)[0] AS label, count(*) AS number")
    edges = await graph.read("MATCH ()-[r]->() RETURN type(r) AS kind, count(*) AS number")
    return {row["label"]: row["number"] for row in nodes}, {row["kind"]: row["number"] for row in edges}


async def test_a_catalogue_comes_in_once(graph: Graph) -> None:
    assert await sync(graph, SHELF, [("K1", "M1")], NEAR) == Counts(written=5, unchanged=0, deleted=0, linked=5)
    before = await nodes_and_edges(graph)
    assert before == (
        {"Product": 5, "Category": 2, "Brand": 3, "Supplier": 2, "Attribute": 7},
        {
            "IN_CATEGORY": 5,
            "OF_BRAND": 5,
            "SUPPLIED_BY": 5,
            "HAS": 8,
            "SUBSTITUTE_FOR": 6,
            "COMPATIBLE_WITH": 1,
        },
    )
    assert await sync(graph, SHELF, [("M1", "K1")], NEAR) == Counts(written=0, unchanged=5, deleted=0, linked=0)
    assert await nodes_and_edges(graph) == before


@pytest.mark.parametrize(
    "change",
    [
        {"name": "禾炊 快速电水壶"},
        {"brand": "净谷"},
        {"category": "净水器"},
        {"supplier_id": "S9", "supplier": "另一家"},
        {"image": None},
        {"attributes": {"材质": "不锈钢", "容量": "1.5 L", "功率": "1800 W"}},  # only their order
        {"attributes": {}},
    ],
)
async def test_a_change_is_written_and_nothing_else(graph: Graph, change: dict[str, Any]) -> None:
    await sync(graph, SHELF)
    changed = [replace(SHELF[0], **change), *SHELF[1:]]
    counts = await sync(graph, changed)
    assert (counts.written, counts.unchanged, counts.deleted) == (1, 4, 0)
    found = await product(graph, "K1")
    assert found == changed[0]
    assert found and list(found.attributes.items()) == list(changed[0].attributes.items())


async def test_what_left_the_mall_leaves_the_graph_with_all_that_only_it_had(graph: Graph) -> None:
    await sync(graph, SHELF, [("K1", "M1")])
    counts = await sync(graph, SHELF[:4], [("K1", "M1")])
    assert (counts.written, counts.deleted) == (0, 1)
    nodes, edges = await nodes_and_edges(graph)
    assert nodes == {"Product": 4, "Category": 1, "Brand": 2, "Supplier": 1, "Attribute": 6}
    assert "COMPATIBLE_WITH" not in edges
    assert await product(graph, "M1") is None
    await sync(graph, SHELF, [("K1", "M1")])
    assert await compatible(graph, "K1") == [SHELF[4]]


async def test_a_batch_of_many(graph: Graph) -> None:
    many = [kettle(number, 编号=str(number)) for number in range(1200)]
    assert (await sync(graph, many)).written == 1200
    assert (await sync(graph, many)).unchanged == 1200
    ids = [one.id for one in many]
    assert [one.id for one in await find(graph, ids[::-1], limit=2000)] == ids[::-1]


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ({}, ["K4", "K1", "M1", "K2", "K3"]),  # in the order of those that are asked for
        ({"limit": 2}, ["K4", "K1"]),
        ({"words": ["不锈钢"]}, ["K1", "K3"]),
        ({"words": ["不锈钢"], "limit": 1}, ["K1"]),
        ({"words": ["陶瓷"], "limit": 1}, ["K4"]),
        ({"words": ["不锈钢", "1800w"]}, ["K1"]),
        ({"words": ["材质 玻璃"]}, ["K2"]),
        ({"words": ["净水器"]}, ["M1"]),
        ({"words": ["没有这个"]}, []),
        ({"words": ["' OR 1=1 //"]}, []),
    ],
)
async def test_products_are_found_by_what_is_asked_of_them(
    graph: Graph, wish: dict[str, Any], expected: list[str]
) -> None:
    await sync(graph, SHELF)
    ids = ["K4", "nobody", "K1", "M1", "K4", "K2", "K3"]
    assert [one.id for one in await find(graph, ids, **wish)] == expected


async def test_products_are_read_as_they_were_written(graph: Graph) -> None:
    await sync(graph, SHELF)
    assert await products(graph, ["M1", "K2", "nobody", "M1"]) == [SHELF[4], SHELF[1]]


async def test_attributes_side_by_side(graph: Graph) -> None:
    await sync(graph, SHELF)
    assert await compare(graph, ["K1", "K2"]) == {
        "容量": {"K1": "1.5 L", "K2": "1.7 L"},
        "材质": {"K1": "不锈钢", "K2": "玻璃"},
        "功率": {"K1": "1800 W"},
    }


async def test_what_can_stand_in(graph: Graph) -> None:
    await sync(graph, SHELF, substitutes=NEAR)
    assert [one.id for one in await substitutes(graph, "K3")] == ["K1", "K2"]
    assert [one.id for one in await substitutes(graph, "K1")] == ["K2", "K3"]
    assert await substitutes(graph, "K4") == []
    assert (await sync(graph, SHELF, substitutes={**NEAR, "K1": ["K2"]})).linked == 1  # as prices change
    assert [one.id for one in await substitutes(graph, "K1")] == ["K2"]


async def test_what_goes_together_goes_both_ways(graph: Graph) -> None:
    await sync(graph, SHELF, [("M1", "K1"), ("K1", "M1"), ("K2", "M1"), ("K1", "nobody")])
    assert [one.id for one in await compatible(graph, "M1")] == ["K1", "K2"]
    assert [one.id for one in await compatible(graph, "K1")] == ["M1"]
    await sync(graph, SHELF, [("K2", "M1")])
    assert await compatible(graph, "K1") == []
