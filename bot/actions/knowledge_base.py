"""rasa-sdk's KnowledgeBase over the graph: what the shop sells as objects.

Its ready-made ActionQueryKnowledgeBase is not used: it keeps its own slots and sentences, knows neither live prices nor
a graph that is down, and takes the last object where it should ask.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rasa_sdk.knowledge_base.storage import KnowledgeBase

from knowledge_graph import Graph, Product, products

Object = dict[str, Any]


class GraphKnowledgeBase(KnowledgeBase):
    """Objects are products, as :class:`knowledge_graph.Product` has them, and categories. Raises GraphDown.

    A product is looked for by ``category``, ``brand``, ``min_cents``, ``max_cents`` and any number of ``word``.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self._graph = graph

    def get_object_types(self) -> list[str]:
        return ["product", "category"]

    async def get_attributes_of_object(self, object_type: str) -> list[str]:
        return list(Product.__dataclass_fields__) if object_type == "product" else ["id", "name"]

    async def get_objects(self, object_type: str, attributes: list[dict[str, Any]], limit: int = 5) -> list[Object]:
        if object_type == "category":
            return [{"id": name, "name": name} for name in (await products.categories(self._graph))[:limit]]
        words = [str(one["value"]) for one in attributes if one["name"] == "word"]
        wanted = {one["name"]: one["value"] for one in attributes if one["name"] != "word"}
        found = await products.find(self._graph, words=words, limit=limit, **wanted)
        return [asdict(product) for product in found]

    async def get_object(self, object_type: str, object_identifier: str) -> Object | None:
        """By its id or by its whole name."""
        if object_type == "category":
            found = object_identifier in await products.categories(self._graph)
            return {"id": object_identifier, "name": object_identifier} if found else None
        product = await products.product(self._graph, object_identifier)
        if product is None:
            named = await products.find(self._graph, words=[object_identifier], limit=50)
            product = next((one for one in named if one.name == object_identifier), None)
        return asdict(product) if product else None
