"""How cards travel: who passed which card on to whom, what came of it, and how warm those are who opened it.

The graph holds what the mall's events say (:mod:`~knowledge_graph.propagation.events`) and nothing else:

- ``(:User)-[:FORWARDED {id, card, channel, depth, time}]->(:User)``, one for each opening that counts
- ``(:User)-[:HOLDS]->(:Copy {card, person, by, source, depth, channel, at})-[:FROM]->(:Copy)``: a person's copy of a
  card, the opening by which they first had it, and the copy that it came from; the owner's is of depth 0. So the way
  of a lead back to the card is as many steps as it has hands, however many forwards there are
- ``(:User)-[:OWNS]->(:Card {owner, orders, cents})``, ``(:User)-[:CONVERTED {id, order, cents, depth,
  date}]->(:Card)``, ``(:User)-[:ASKED {id, topic, product, time}]->(:Interest)``
- ``(:User)-[:IS]->(:Sales)`` and ``(:User)-[:IS]->(:Lead {stage})``: nodes of their own, because the embedded graph
  cannot give a node another label later

Counted when it is written, so that nobody has to read all copies of a card: people by ``(:Level {card, depth,
people})``; whom a copy ``brought``, what those ``bought``, its own ``orders``; whom a ``User`` brought with all
cards. Each counts together with what it counts, once, in one transaction: a copy that is there already, or an order
that has been ``counted``, changes nothing when it is told again. ``shelf`` is where a copy stands among those of its
card, by the doublings of what it carried, ``lead`` the stage of whoever has it; both are indexed.

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
