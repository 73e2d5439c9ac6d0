"""rasa-sdk's KnowledgeBase over the graph: what the shop sells as objects.

Its ready-made ActionQueryKnowledgeBase is not used: it keeps its own slots and sentences, knows neither live prices nor
a graph that is down, and takes the last object where it should ask.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

from rasa_sdk.knowledge_base.storage import KnowledgeBase

from knowledge_graph import Graph, Product, products
from mall_adapter.values import Listing

Object = dict[str, Any]

NOTHING: Mapping[str, Listing] = MappingProxyType({})

OFFER = ("price_min_cents", "price_max_cents", "in_stock")
"""What the graph does not know of a product."""


class GraphKnowledgeBase(KnowledgeBase):
    """Objects are products, as :class:`knowledge_graph.Product` has them and at the price of their ``listings`` (what
    the mall sells now, in the order in which it is found), and categories. Raises GraphDown.

    A product is looked for by ``category``, ``brand``, ``min_cents``, ``max_cents`` and any number of ``word``.
    """

    def __init__(self, graph: Graph, listings: Mapping[str, Listing] = NOTHING) -> None:
        super().__init__()
        self._graph = graph
        self._listings = listings

    def get_object_types(self) -> list[str]:
        return ["product", "category"]

    async def get_attributes_of_object(self, object_type: str) -> list[str]:
        return [*Product.__dataclass_fields__, *OFFER] if object_type == "product" else ["id", "name"]

    async def get_objects(self, object_type: str, attributes: list[dict[str, Any]], limit: int = 5) -> list[Object]:
        if object_type == "category":
            return [{"id": name, "name": name} for name in (await products.categories(self._graph))[:limit]]
        words = [str(one["value"]) for one in attributes if one["name"] == "word"]
        wanted = {one["name"]: one["value"] for one in attributes if one["name"] != "word"}
        ids = [one.id for one in self._listings.values() if _fits(one, **wanted)]
        found = await products.find(self._graph, ids if words else ids[:limit], words, limit)
        return [self._object(product) for product in found]

    async def get_object(self, object_type: str, object_identifier: str) -> Object | None:
        """By its id or by its whole name."""
        if object_type == "category":
            found = object_identifier in await products.categories(self._graph)
            return {"id": object_identifier, "name": object_identifier} if found else None
        named = (one.id for one in self._listings.values() if one.name == object_identifier)
        product = await products.product(self._graph, next(named, object_identifier))
        return self._object(product) if product else None

    async def companions_of(self, product_id: str, limit: int = 10) -> list[Object]:
        """What goes together with it, in the order of the listings."""
        paired = {one.id: one for one in await products.compatible(self._graph, product_id)}
        return [self._object(paired[one]) for one in self._listings if one in paired][:limit]

    def _object(self, product: Product) -> Object:
        listing = self._listings.get(product.id)
        return asdict(product) | ({name: getattr(listing, name) for name in OFFER} if listing else {})


def _fits(
    one: Listing,
    category: str | None = None,
    brand: str | None = None,
    min_cents: int | None = None,
    max_cents: int | None = None,
) -> bool:
    return (
        category in (None, one.category)
        and brand in (None, one.brand)
        and (max_cents is None or one.price_min_cents <= max_cents)
        and (min_cents is None or one.price_max_cents >= min_cents)
    )
