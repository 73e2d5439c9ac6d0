"""Constraints and indexes, brought up to date on either server by ``migrate``.

A migration is applied at least once and recorded as a ``Migration`` node; every step can be repeated. Nodes are
known by ``id``. Add a migration at the end; never change one that has been released.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import LiteralString

from knowledge_graph import feedback, gaps
from knowledge_graph.client import Graph
from privacy import KeyRingError, current_ring

Step = LiteralString | Callable[[Graph], Awaitable[None]]

MIGRATIONS: tuple[tuple[Step, ...], ...] = (
    (
        "CREATE CONSTRAINT user_id IF NOT EXISTS FOR (n:User) REQUIRE n.id IS UNIQUE",
        "CREATE CONSTRAINT card_id IF NOT EXISTS FOR (n:Card) REQUIRE n.id IS UNIQUE",
        "CREATE CONSTRAINT product_id IF NOT EXISTS FOR (n:Product) REQUIRE n.id IS UNIQUE",
        "CREATE CONSTRAINT category_id IF NOT EXISTS FOR (n:Category) REQUIRE n.id IS UNIQUE",
        "CREATE CONSTRAINT brand_id IF NOT EXISTS FOR (n:Brand) REQUIRE n.id IS UNIQUE",
        "CREATE CONSTRAINT supplier_id IF NOT EXISTS FOR (n:Supplier) REQUIRE n.id IS UNIQUE",
        "CREATE CONSTRAINT attribute_id IF NOT EXISTS FOR (n:Attribute) REQUIRE n.id IS UNIQUE",
        "CREATE CONSTRAINT faq_id IF NOT EXISTS FOR (n:Faq) REQUIRE n.id IS UNIQUE",
        "CREATE CONSTRAINT policy_id IF NOT EXISTS FOR (n:Policy) REQUIRE n.id IS UNIQUE",
        "CREATE CONSTRAINT topic_id IF NOT EXISTS FOR (n:Topic) REQUIRE n.id IS UNIQUE",
        "CREATE CONSTRAINT gap_id IF NOT EXISTS FOR (n:Gap) REQUIRE n.id IS UNIQUE",
        "CREATE CONSTRAINT feedback_id IF NOT EXISTS FOR (n:Feedback) REQUIRE n.id IS UNIQUE",
        "CREATE CONSTRAINT migration_id IF NOT EXISTS FOR (n:Migration) REQUIRE n.id IS UNIQUE",
        # content names products and suppliers by their names
        "CREATE INDEX product_name IF NOT EXISTS FOR (n:Product) ON (n.name)",
        "CREATE INDEX supplier_name IF NOT EXISTS FOR (n:Supplier) ON (n.name)",
        "CREATE INDEX gap_count IF NOT EXISTS FOR (n:Gap) ON (n.count)",
    ),
    ("CREATE CONSTRAINT vote_id IF NOT EXISTS FOR (n:Vote) REQUIRE n.id IS UNIQUE",),
    (gaps.bind,),
    # prices and stock are the mall's; without ``links`` the next sync writes the relations anew
    ("MATCH (p:Product) REMOVE p.price_min_cents, p.price_max_cents, p.in_stock, p.links",),
    (
        "CREATE CONSTRAINT alias_id IF NOT EXISTS FOR (n:Alias) REQUIRE n.id IS UNIQUE",
        "CREATE CONSTRAINT interest_id IF NOT EXISTS FOR (n:Interest) REQUIRE n.id IS UNIQUE",
        "CREATE CONSTRAINT lead_id IF NOT EXISTS FOR (n:Lead) REQUIRE n.id IS UNIQUE",
        "CREATE CONSTRAINT reader_id IF NOT EXISTS FOR (n:Reader) REQUIRE n.id IS UNIQUE",
        "CREATE CONSTRAINT sales_id IF NOT EXISTS FOR (n:Sales) REQUIRE n.id IS UNIQUE",
    ),
    # who holds a card has a copy of it; the mall's events are read again from the first
    (
        "CREATE CONSTRAINT copy_id IF NOT EXISTS FOR (n:Copy) REQUIRE n.id IS UNIQUE",
        "CREATE CONSTRAINT level_id IF NOT EXISTS FOR (n:Level) REQUIRE n.id IS UNIQUE",
        "CREATE INDEX copy_shelf IF NOT EXISTS FOR (n:Copy) ON (n.shelf)",
        "CREATE INDEX copy_lead IF NOT EXISTS FOR (n:Copy) ON (n.lead)",
        "CREATE INDEX level_card IF NOT EXISTS FOR (n:Level) ON (n.card)",
        "CREATE INDEX user_shelf IF NOT EXISTS FOR (n:User) ON (n.shelf)",
        "MATCH (:User)-[h:HOLDS]->(:Card) DELETE h",
        "MATCH (r:Reader {id: 'propagation'}) SET r.position = 0",
    ),
)

SECONDS = 60.0
"""For one statement: an index of a large graph takes its time."""


async def migrate(graph: Graph) -> list[int]:
    """Applies what is missing; returns the numbers of the migrations that were applied. Any number may run at once.

    Keyed hashes follow the key ring's index key.
    """
    done = {row["id"] for row in await graph.read("MATCH (n:Migration) RETURN n.id AS id")}
    missing = [number for number in range(1, len(MIGRATIONS) + 1) if number not in done]
    for number in missing:
        for step in MIGRATIONS[number - 1]:
            if isinstance(step, str):
                await graph.write(step, within=SECONDS)
            else:
                await step(graph)
        await graph.write(
            "MERGE (n:Migration {id: $number}) ON CREATE SET n.applied_at = $now",
            number=number,
            now=datetime.now(UTC),
        )
    with contextlib.suppress(KeyRingError):  # without a ring nothing was ever asked; the other parts say what is wrong
        ring = current_ring()
        await gaps.follow_index(graph, ring)
        await feedback.follow_index(graph, ring)
    return missing
