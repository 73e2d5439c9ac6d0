"""What the house knows: the catalogue, the rules of the shop, and who passed a card to whom. Cypher lives only here.

``async with Graph.from_settings() as graph`` gives the graph that the settings name, the embedded one or a Neo4j; every
function of this room takes it first. ``migrate`` prepares it, ``catalogue.sync`` and ``content.load`` fill it.
Whoever asks must expect :class:`GraphDown`.

:class:`Answering` finds answers to customers' questions. ``python -m knowledge_graph --help`` lists the commands.
"""

from knowledge_graph import catalogue, content, feedback, gaps, learning, products, reports
from knowledge_graph.answering import CERTAIN, CLOSE, SURE, Answering, Found, sure
from knowledge_graph.client import Graph, GraphDown, QueryTimeout
from knowledge_graph.content import Answer
from knowledge_graph.entries import Content, Entry, Fact, Problem, read_files, read_folder
from knowledge_graph.files import READERS, TOPICS, digest, files_in, named
from knowledge_graph.fitting import pairs_that_fit
from knowledge_graph.migrations import migrate
from knowledge_graph.neighbourhood import Neighbourhood, Node, around, find
from knowledge_graph.products import Product
from knowledge_graph.retrieval import Background, Question, Subject
from knowledge_graph.training import train as train_answering

__all__ = [
    "CERTAIN",
    "CLOSE",
    "READERS",
    "SURE",
    "TOPICS",
    "Answer",
    "Answering",
    "Background",
    "Content",
    "Entry",
    "Fact",
    "Found",
    "Graph",
    "GraphDown",
    "Neighbourhood",
    "Node",
    "Problem",
    "Product",
    "QueryTimeout",
    "Question",
    "Subject",
    "around",
    "catalogue",
    "content",
    "digest",
    "feedback",
    "files_in",
    "find",
    "gaps",
    "learning",
    "migrate",
    "named",
    "pairs_that_fit",
    "products",
    "read_files",
    "read_folder",
    "reports",
    "sure",
    "train_answering",
]
