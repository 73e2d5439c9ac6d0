"""What the house knows: the catalogue, the rules of the shop, and who passed a card to whom. Cypher lives only here.

``async with Graph.from_settings() as graph`` gives the graph that the settings name, the embedded one or a Neo4j; every
function of this room takes it first. ``migrate`` prepares it, ``catalogue.sync`` and ``content.load`` fill it.
Whoever asks must expect :class:`GraphDown`.

:class:`Answering` finds answers to customers' questions. ``python -m knowledge_graph --help`` lists the commands.
"""

from knowledge_graph.answering import CERTAIN, CLOSE, SURE, Answering, Found, sure
from knowledge_graph.client import Graph, GraphDown
from knowledge_graph.content import Answer
from knowledge_graph.migrations import migrate
from knowledge_graph.products import Product
from knowledge_graph.retrieval import Question

__all__ = [
    "CERTAIN",
    "CLOSE",
    "SURE",
    "Answer",
    "Answering",
    "Found",
    "Graph",
    "GraphDown",
    "Product",
    "Question",
    "migrate",
    "sure",
]
