"""A product as the graph knows it, and asking the graph for products.

What it costs and whether it is there changes by the minute and by the region: only the mall knows that.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, LiteralString

from knowledge_graph.client import Graph, Row


@dataclass(frozen=True, slots=True)
class Product:
    id: str
    name: str
    brand: str
    category: str
    supplier_id: str
    supplier: str
    image: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """Another one as soon as anything is different."""
        text = json.dumps([asdict(self), list(self.attributes)], ensure_ascii=False, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @property
    def words(self) -> str:
        """What a customer's words are looked for in."""
        return plain(" ".join([self.name, *(f"{name}{value}" for name, value in self.attributes.items())]))


def plain(text: str) -> str:
    """NFKC, lower case, without spaces: 10 KG and 10kg are the same."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


_VIEW: LiteralString = """
MATCH (p)-[:OF_BRAND]->(brand:Brand), (p)-[:IN_CATEGORY]->(category:Category), (p)-[:SUPPLIED_BY]->(supplier:Supplier)
RETURN p.id AS id, p.name AS name, brand.name AS brand, category.name AS category, supplier.id AS supplier_id,
       supplier.name AS supplier, p.image AS image,
       [(p)-[has:HAS]->(a:Attribute) | [has.position, a.name, a.value]] AS attributes
"""

_FIRST_THAT_SAY_SO: LiteralString = """
UNWIND $among AS one
MATCH (p:Product {id: one.id})
WHERE all(word IN $words WHERE p.words CONTAINS word)
WITH p, one.place AS place ORDER BY place LIMIT $limit
"""


async def product(graph: Graph, product_id: str) -> Product | None:
    found = await products(graph, [product_id])
    return found[0] if found else None


async def products(graph: Graph, ids: Sequence[str]) -> list[Product]:
    """In the order of ``ids``; those that do not exist are left out."""
    rows = await graph.read("UNWIND $ids AS id MATCH (p:Product {id: id})" + _VIEW, ids=list(dict.fromkeys(ids)))
    found = {row["id"]: _product(row) for row in rows}
    return [found[product_id] for product_id in dict.fromkeys(ids) if product_id in found]


async def categories(graph: Graph) -> list[str]:
    """The names of all categories that have a product."""
    return [row["name"] for row in await graph.read("MATCH (c:Category) RETURN c.name AS name ORDER BY name")]


async def find(graph: Graph, ids: Sequence[str], words: Sequence[str] = (), limit: int = 10) -> list[Product]:
    """The first of ``ids`` that say all the words, in that order.

    ``words`` must all stand in the name or in an attribute with its value (``防水``, ``容量 10 kg``).
    """
    unique = list(dict.fromkeys(ids))
    rows = await graph.read(
        _FIRST_THAT_SAY_SO + _VIEW,
        among=[{"id": product_id, "place": place} for place, product_id in enumerate(unique)],
        words=[plain(word) for word in words],
        limit=limit,
    )
    found = {row["id"]: _product(row) for row in rows}
    return [found[product_id] for product_id in unique if product_id in found]


async def compare(graph: Graph, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """Attributes as rows of a table: ``{"重量": {"P1": "1.2 kg", "P2": "0.9 kg"}}``; a product may lack one."""
    table: dict[str, dict[str, str]] = {}
    for one in await products(graph, ids):
        for name, value in one.attributes.items():
            table.setdefault(name, {})[one.id] = value
    return table


async def substitutes(graph: Graph, product_id: str) -> list[Product]:
    """What can stand in for the product, by id: which of them is there, and nearest in price, the mall knows."""
    rows = await graph.read("MATCH (:Product {id: $id})<-[:SUBSTITUTE_FOR]-(p:Product)" + _VIEW, id=product_id)
    return sorted(map(_product, rows), key=lambda one: one.id)


async def compatible(graph: Graph, product_id: str, limit: int = 200) -> list[Product]:
    """What goes together with the product, by id."""
    rows = await graph.read(
        "MATCH (:Product {id: $id})-[:COMPATIBLE_WITH]-(p:Product) WITH p ORDER BY p.id LIMIT $limit" + _VIEW,
        id=product_id,
        limit=limit,
    )
    return sorted(map(_product, rows), key=lambda one: one.id)


def _product(row: Row) -> Product:
    attributes: list[Any] = sorted(row["attributes"])
    named = {name: row[name] for name in Product.__dataclass_fields__ if name != "attributes"}
    return Product(**named, attributes={name: value for _, name, value in attributes})
