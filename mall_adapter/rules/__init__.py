"""The file of after-sales rules, read and proved before it decides anything."""

from __future__ import annotations

from mall_adapter.rules.faults import NAMES, BrokenRules, Fault
from mall_adapter.rules.proof import Proof, prove
from mall_adapter.rules.sheet import LIMITS, read

__all__ = ["LIMITS", "NAMES", "BrokenRules", "Fault", "Proof", "prove", "read"]
