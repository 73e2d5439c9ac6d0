"""A product as the graph knows it, and asking the graph for products."""

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
    price_min_cents: int  # of the cheapest and the dearest kind
    price_max_cents: int
    in_stock: bool
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
       supplier.name AS supplier, p.price_min_cents AS price_min_cents, p.price_max_cents AS price_max_cents,
       p.in_stock AS in_stock, p.image AS image,
       [(p)-[has:HAS]->(a:Attribute) | [has.position, a.name, a.value]] AS attributes
"""

_CHEAPEST_FIRST: LiteralString = """
WITH p ORDER BY p.in_stock DESC, p.price_min_cents, p.id LIMIT $limit
"""

_FITTING: LiteralString = """
WHERE ($max_cents IS NULL OR p.price_min_cents <= $max_cents)
  AND ($min_cents IS NULL OR p.price_max_cents >= $min_cents)
  AND all(word IN $words WHERE p.words CONTAINS word)
"""

# one beginning for each set of names, because each begins at another index
_ANY: LiteralString = "MATCH (p:Product)"
_OF_CATEGORY: LiteralString = "MATCH (:Category {id: $category})<-[:IN_CATEGORY]-(p:Product)"
_OF_BRAND: LiteralString = "MATCH (:Brand {id: $brand})<-[:OF_BRAND]-(p:Product)"
_OF_BOTH: LiteralString = (
    "MATCH (:Brand {id: $brand})<-[:OF_BRAND]-(p:Product)-[:IN_CATEGORY]->(:Category {id: $category})"
)


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


async def find(
    graph: Graph,
    *,
    category: str | None = None,
    brand: str | None = None,
    min_cents: int | None = None,
    max_cents: int | None = None,
    words: Sequence[str] = (),
    limit: int = 10,
) -> list[Product]:
    """Products that fulfil everything; what is in stock first, then the cheapest.

    ``words`` must all stand in the name or in an attribute with its value (``防水``, ``容量 10 kg``).
    """
    begin = {(False, False): _ANY, (True, False): _OF_CATEGORY, (False, True): _OF_BRAND, (True, True): _OF_BOTH}
    rows = await graph.read(
        begin[category is not None, brand is not None] + _FITTING + _CHEAPEST_FIRST + _VIEW,
        category=category,
        brand=brand,
        min_cents=min_cents,
        max_cents=max_cents,
        words=[plain(word) for word in words],
        limit=limit,
    )
    return _cheapest_first(rows)


async def compare(graph: Graph, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """Attributes as rows of a table: ``{"重量": {"P1": "1.2 kg", "P2": "0.9 kg"}}``; a product may lack one."""
    table: dict[str, dict[str, str]] = {}
    for one in await products(graph, ids):
        for name, value in one.attributes.items():
            table.setdefault(name, {})[one.id] = value
    return table


async def substitutes(graph: Graph, product_id: str, limit: int = 3) -> list[Product]:
    """What is in stock and can stand in for the product, the nearest in price first."""
    rows = await graph.read(
        "MATCH (:Product {id: $id})<-[near:SUBSTITUTE_FOR]-(p:Product) WHERE p.in_stock "
        "WITH p, near ORDER BY near.rank LIMIT $limit" + _VIEW + ", near.rank AS rank",
        id=product_id,
        limit=limit,
    )
    return [_product(row) for row in sorted(rows, key=lambda row: int(row["rank"]))]


async def compatible(graph: Graph, product_id: str, limit: int = 10) -> list[Product]:
    """What goes together with the product; what is in stock first, then the cheapest."""
    rows = await graph.read(
        "MATCH (:Product {id: $id})-[:COMPATIBLE_WITH]-(p:Product)" + _CHEAPEST_FIRST + _VIEW,
        id=product_id,
        limit=limit,
    )
    return _cheapest_first(rows)


def _cheapest_first(rows: Sequence[Row]) -> list[Product]:
    return sorted(map(_product, rows), key=lambda one: (not one.in_stock, one.price_min_cents, one.id))


def _product(row: Row) -> Product:
    attributes: list[Any] = sorted(row["attributes"])
    named = {name: row[name] for name in Product.__dataclass_fields__ if name != "attributes"}
    return Product(**named, attributes={name: value for _, name, value in attributes})
