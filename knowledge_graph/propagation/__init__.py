"""How cards travel: who passed which card on to whom, what came of it, and how warm those are who opened it.

The graph holds what the mall's events say (:mod:`~knowledge_graph.propagation.events`) and nothing else:

- ``(:User)-[:FORWARDED {id, card, channel, depth, time, first}]->(:User)``, one for each opening that counts
- ``(:User)-[:HOLDS {by, source, depth, channel, since}]->(:Card)``, one for each person and card: the opening by which
  they first had it, and from whom
- ``(:User)-[:OWNS]->(:Card)``, ``(:User)-[:CONVERTED {id, order, cents, depth, date}]->(:Card)``,
  ``(:User)-[:ASKED {id, topic, product, time}]->(:Interest)``
- ``(:User)-[:IS]->(:Sales)`` and ``(:User)-[:IS]->(:Lead {stage})``: nodes of their own, because the embedded graph
  cannot give a node another label later

A person is "customer:<id>", or "account:<opaque id>" while nobody knows whose it is; names stand in the mall only.
"""

from knowledge_graph.propagation.following import Follower
from knowledge_graph.propagation.paths import (
    LEVELS,
    WARMEST,
    Carrier,
    Converted,
    Copy,
    Lead,
    Path,
    Question,
    Reach,
    Step,
    carriers,
    chain,
    conversions,
    leads,
    path,
    questions,
    reach,
)

__all__ = [
    "LEVELS",
    "WARMEST",
    "Carrier",
    "Converted",
    "Copy",
    "Follower",
    "Lead",
    "Path",
    "Question",
    "Reach",
    "Step",
    "carriers",
    "chain",
    "conversions",
    "leads",
    "path",
    "questions",
    "reach",
]
