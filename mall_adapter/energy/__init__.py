"""Energy: what customers earn for the friends whom a smart card brings, or are given, and what they get for it.

A ledger of lots. What was earned once is one lot, and every movement of its points from one place to another a row that
is never changed, each with a cause of its own. Who earns how much for what is a table that operators read:
``mall_adapter/rules/energy.yml``.
"""

from __future__ import annotations

from mall_adapter.energy.accounts import arrived, balance, carriers, history
from mall_adapter.energy.events import read_on
from mall_adapter.energy.gifts import give
from mall_adapter.energy.jobs import expire_due, release_due, tell_of_expiring
from mall_adapter.energy.ledger import redeem
from mall_adapter.energy.names import customer
from mall_adapter.energy.persons import become
from mall_adapter.energy.review import Held, decide, held
from mall_adapter.energy.rules import EnergyRules, energy_rules

__all__ = [
    "EnergyRules",
    "Held",
    "arrived",
    "balance",
    "become",
    "carriers",
    "customer",
    "decide",
    "energy_rules",
    "expire_due",
    "give",
    "held",
    "history",
    "read_on",
    "redeem",
    "release_due",
    "tell_of_expiring",
]
