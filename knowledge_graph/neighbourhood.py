"""What stands around a node, as a picture for the dashboard, and finding a node to begin with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, LiteralString

from knowledge_graph.client import Graph
from knowledge_graph.products import plain

EACH = 5
"""How many of a neighbour's own neighbours are shown."""

# one beginning for each label, because each has an index of its own
_START: dict[str, LiteralString] = {
    "User": "MATCH (n:User {id: $id})",
    "Card": "MATCH (n:Card {id: $id})",
    "Product": "MATCH (n:Product {id: $id})",
    "Category": "MATCH (n:Category {id: $id})",
    "Brand": "MATCH (n:Brand {id: $id})",
    "Supplier": "MATCH (n:Supplier {id: $id})",
    "Attribute": "MATCH (n:Attribute {id: $id})",
    "Faq": "MATCH (n:Faq {id: $id})",
    "Policy": "MATCH (n:Policy {id: $id})",
    "Topic": "MATCH (n:Topic {id: $id})",
}

_SELF: LiteralString = """
RETURN {labels: labels(n), id: n.id, name: coalesce(n.title, n.name), value: n.value} AS near
"""

_ONE_HOP: LiteralString = """
MATCH (n)-[r]-(m)
WITH n, r, m ORDER BY type(r), m.id LIMIT $limit
"""

_NEAR: LiteralString = """
RETURN type(r) AS kind, startNode(r) = n AS outward,
       {labels: labels(m), id: m.id, name: coalesce(m.title, m.name), value: m.value} AS near
"""

_TWO_HOPS: LiteralString = """
CALL (m) { MATCH (m)-[r2]-(o) RETURN r2, o LIMIT $each }
RETURN type(r) AS kind, startNode(r) = n AS outward,
       {labels: labels(m), id: m.id, name: coalesce(m.title, m.name), value: m.value} AS near,
       type(r2) AS far_kind, startNode(r2) = m AS far_outward,
       {labels: labels(o), id: o.id, name: coalesce(o.title, o.name), value: o.value} AS far
"""

_FIND: LiteralString = """
MATCH (n:Product|Category|Brand|Faq|Policy)
WITH n, replace(toLower(coalesce(n.title, n.name)), ' ', '') AS name
WHERE name CONTAINS $words OR n.id = $id OR any(ask IN coalesce(n.ask, []) WHERE ask CONTAINS $words)
RETURN {labels: labels(n), id: n.id, name: coalesce(n.title, n.name), value: n.value} AS node
ORDER BY n.id <> $id, NOT name CONTAINS $words, size(name), n.id LIMIT $limit
"""

_BEGINNINGS: LiteralString = """
MATCH (n:Category|Topic)
RETURN {labels: labels(n), id: n.id, name: n.name, value: n.value} AS node
ORDER BY labels(n)[0] DESC, n.id LIMIT $limit
"""


@dataclass(frozen=True, slots=True)
class Node:
    label: str
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Edge:
    kind: str
    source: Node
    target: Node


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    nodes: tuple[Node, ...]  # the one that was asked for comes first
    edges: tuple[Edge, ...]


async def find(graph: Graph, words: str, limit: int = 20) -> list[Node]:
    """Products, categories, brands and answers with ``words`` in their name or title, the closest first, or with this
    id, or asked for with them; without words the topics and categories, from which everything can be reached."""
    wanted = plain(words)
    if not wanted:
        rows = await graph.read(_BEGINNINGS, limit=limit)
    else:
        rows = await graph.read(_FIND, words=wanted, id=words.strip(), limit=limit)
    return [_node(row["node"]) for row in rows]


async def around(
    graph: Graph, label: str, node_id: str, hops: Literal[1, 2] = 1, limit: int = 50
) -> Neighbourhood | None:
    """At most ``limit`` nodes, the near ones before the far ones; None where there is no such node."""
    start = _START.get(label)
    found = await graph.read(start + _SELF, id=node_id) if start else []
    if not start or not found:
        return None
    query = start + _ONE_HOP + (_NEAR if hops == 1 else _TWO_HOPS)
    rows = await graph.read(query, id=node_id, limit=limit, each=EACH)
    centre = _node(found[0]["near"])
    near = [_edge(row["kind"], row["outward"], centre, _node(row["near"])) for row in rows]
    far = (
        [_edge(row["far_kind"], row["far_outward"], _node(row["near"]), _node(row["far"])) for row in rows]
        if hops == 2
        else []
    )
    edges = list(dict.fromkeys(near + far))
    nodes = list(dict.fromkeys([centre, *(end for edge in edges for end in (edge.source, edge.target))]))[:limit]
    kept = set(nodes)
    return Neighbourhood(tuple(nodes), tuple(edge for edge in edges if {edge.source, edge.target} <= kept))


def _edge(kind: str, outward: bool, here: Node, there: Node) -> Edge:
    return Edge(kind, here, there) if outward else Edge(kind, there, here)


def _node(properties: dict[str, Any]) -> Node:
    label = next((known for known in _START if known in properties["labels"]), properties["labels"][0])
    # an attribute's id is its name and its value
    name = properties["name"] if properties["value"] is None else properties["id"]
    return Node(label, str(properties["id"]), str(name or properties["id"]))
