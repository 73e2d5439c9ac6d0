"""Brings the mall's catalogue into the graph, and only what has changed in it."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, LiteralString, TypeVar

from knowledge_graph.client import Graph, Statement
from knowledge_graph.products import Product

T = TypeVar("T")

BATCH = 500
SECONDS = 120.0
"""For one batch: nobody waits for it."""

NONE: Mapping[str, Sequence[str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Counts:
    """Of products: what a sync did."""

    written: int
    unchanged: int
    deleted: int
    linked: int  # got other substitutes or companions


async def sync(
    graph: Graph,
    products: Iterable[Product],
    compatible: Iterable[tuple[str, str]] = (),
    substitutes: Mapping[str, Sequence[str]] = NONE,
) -> Counts:
    """The graph's products become these, each with its category, brand, supplier and attributes.

    ``compatible`` names pairs of products that go together, ``substitutes`` for a product those that can stand in for
    it; one that is not there is left out.
    A batch is written whole or not at all, so after a crash run it again.
    """
    wanted = {product.id: product for product in products}
    rows = await graph.read(
        "MATCH (p:Product) RETURN p.id AS id, p.version AS version, p.links AS links", within=SECONDS
    )
    known: dict[str, tuple[str, str]] = {row["id"]: (row["version"], row["links"]) for row in rows}
    gone = sorted(known.keys() - wanted.keys())
    for ids in _batches(gone):
        await graph.write("UNWIND $ids AS id MATCH (p:Product {id: id}) DETACH DELETE p", within=SECONDS, ids=ids)

    changed = [one for one in wanted.values() if known.get(one.id, ("",))[0] != one.version]
    for batch in _batches(changed):
        await graph.write_all(_statements(batch), within=SECONDS)

    links = _links(wanted, compatible, substitutes)
    linked = [link for link in links if known.get(link.id, ("", ""))[1] != link.version]
    for some in _batches(linked):
        await graph.write_all(_link_statements(some), within=SECONDS)

    if gone or changed:
        for query in _ORPHANS:
            await graph.write(query, within=SECONDS)
    return Counts(len(changed), len(wanted) - len(changed), len(gone), len(linked))


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]


# --- a product and what it hangs on ----------------------------------------------------------------------------------

_ORPHANS: tuple[LiteralString, ...] = (
    "MATCH (n:Category) WHERE NOT (n)<-[:IN_CATEGORY]-() DETACH DELETE n",
    "MATCH (n:Brand) WHERE NOT (n)<-[:OF_BRAND]-() DETACH DELETE n",
    "MATCH (n:Supplier) WHERE NOT (n)<-[:SUPPLIED_BY]-() DETACH DELETE n",
    "MATCH (n:Attribute) WHERE NOT (n)<-[:HAS]-() DETACH DELETE n",
)

_PRODUCTS: LiteralString = """
UNWIND $products AS row
MERGE (p:Product {id: row.id})
SET p.name = row.name, p.image = row.image, p.words = row.words, p.version = row.version
"""

_HANG: LiteralString = """
UNWIND $products AS row
MATCH (p:Product {id: row.id}), (b:Brand {id: row.brand}), (c:Category {id: row.category}),
      (s:Supplier {id: row.supplier_id})
CREATE (p)-[:OF_BRAND]->(b), (p)-[:IN_CATEGORY]->(c), (p)-[:SUPPLIED_BY]->(s)
"""


def _statements(products: Sequence[Product]) -> list[Statement]:
    rows = [
        {name: getattr(one, name) for name in Product.__dataclass_fields__ if name != "attributes"}
        | {"version": one.version, "words": one.words}
        for one in products
    ]
    has = [
        {"id": one.id, "attribute": f"{name}：{value}", "name": name, "value": value, "position": position}
        for one in products
        for position, (name, value) in enumerate(one.attributes.items())
    ]
    brands = sorted({one.brand for one in products})
    categories = sorted({one.category for one in products})
    suppliers = [{"id": key, "name": name} for key, name in {one.supplier_id: one.supplier for one in products}.items()]
    attributes = list({row["attribute"]: row for row in has}.values())
    ids = [one.id for one in products]
    return [
        ("UNWIND $names AS name MERGE (n:Brand {id: name}) SET n.name = name", {"names": brands}),
        ("UNWIND $names AS name MERGE (n:Category {id: name}) SET n.name = name", {"names": categories}),
        ("UNWIND $rows AS row MERGE (n:Supplier {id: row.id}) SET n.name = row.name", {"rows": suppliers}),
        (
            "UNWIND $rows AS row MERGE (n:Attribute {id: row.attribute}) SET n.name = row.name, n.value = row.value",
            {"rows": attributes},
        ),
        (_PRODUCTS, {"products": rows}),
        (
            "UNWIND $ids AS id MATCH (:Product {id: id})-[old:OF_BRAND|IN_CATEGORY|SUPPLIED_BY|HAS]->() DELETE old",
            {"ids": ids},
        ),
        (_HANG, {"products": rows}),
        (
            "UNWIND $rows AS row MATCH (p:Product {id: row.id}), (a:Attribute {id: row.attribute}) "
            "CREATE (p)-[:HAS {position: row.position}]->(a)",
            {"rows": has},
        ),
    ]


# --- products beside each other --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Links:
    """Everything that leads from other products to this one, and to those companions whose id is greater."""

    id: str
    substitutes: tuple[str, ...]
    compatible: tuple[str, ...]

    @property
    def version(self) -> str:
        return hashlib.sha256(repr((self.substitutes, self.compatible)).encode()).hexdigest()[:16]


def _links(
    products: Mapping[str, Product], compatible: Iterable[tuple[str, str]], substitutes: Mapping[str, Sequence[str]]
) -> list[_Links]:
    companions: dict[str, set[str]] = defaultdict(set)
    for pair in compatible:
        first, second = sorted(pair)
        if first != second and first in products and second in products:
            companions[first].add(second)
    return [
        _Links(
            key,
            tuple(sorted(other for other in substitutes.get(key, ()) if other in products)),
            tuple(sorted(companions[key])),
        )
        for key in products
    ]


def _link_statements(links: Sequence[_Links]) -> list[Statement]:
    ids = [link.id for link in links]
    substitutes: list[dict[str, Any]] = [
        {"id": link.id, "other": other} for link in links for other in link.substitutes
    ]
    compatible = [{"id": link.id, "other": other} for link in links for other in link.compatible]
    versions = [{"id": link.id, "version": link.version} for link in links]
    return [
        ("UNWIND $ids AS id MATCH (:Product {id: id})<-[old:SUBSTITUTE_FOR]-() DELETE old", {"ids": ids}),
        ("UNWIND $ids AS id MATCH (:Product {id: id})-[old:COMPATIBLE_WITH]->() DELETE old", {"ids": ids}),
        (
            "UNWIND $rows AS row MATCH (p:Product {id: row.id}), (other:Product {id: row.other}) "
            "CREATE (other)-[:SUBSTITUTE_FOR]->(p)",
            {"rows": substitutes},
        ),
        (
            "UNWIND $rows AS row MATCH (p:Product {id: row.id}), (other:Product {id: row.other}) "
            "CREATE (p)-[:COMPATIBLE_WITH]->(other)",
            {"rows": compatible},
        ),
        ("UNWIND $rows AS row MATCH (p:Product {id: row.id}) SET p.links = row.version", {"rows": versions}),
    ]
