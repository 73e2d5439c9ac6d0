"""The files of rules, read and proved before they decide anything."""

from __future__ import annotations

from mall_adapter.rules.faults import NAMES, BrokenRules, Fault
from mall_adapter.rules.numbers import Numbers, numbers
from mall_adapter.rules.proof import Proof, prove
from mall_adapter.rules.saved import AnyRules, RulesFile
from mall_adapter.rules.sheet import COSTS, LIMITS, OFFERS, describe, read

__all__ = [
    "COSTS",
    "LIMITS",
    "NAMES",
    "OFFERS",
    "AnyRules",
    "BrokenRules",
    "Fault",
    "Numbers",
    "Proof",
    "RulesFile",
    "describe",
    "numbers",
    "prove",
    "read",
]
