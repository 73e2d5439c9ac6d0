"""What the mall keeps to and customers are told: days, hours, cents and tries, by the names that texts use for them.

Each stands in one file of rules (``rules/``) and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time

from mall_adapter.data_rights.rules import RIGHTS
from mall_adapter.energy import EnergyRules
from mall_adapter.facts import WINDOW
from mall_adapter.house_rules import HouseRules
from mall_adapter.policy import AfterSalesPolicy
from mall_adapter.promises import Promises
from mall_adapter.proof_limits import ProofLimits


def terms(policy: AfterSalesPolicy, proofs: ProofLimits, promises: Promises, energy: EnergyRules) -> dict[str, int]:
    """``{"no_reason_days": 7, "auto_approve_cents": 200000, "wrong_tries": 5, …}``"""
    window = {"frequent_window_days": WINDOW.days}
    return RIGHTS.told | policy.limits | policy.longest | window | proofs.told | promises.told | energy.told


def house_terms() -> dict[str, int]:
    """Those of this house's files, where no mall is open. Raises BrokenRules."""
    rules = HouseRules()
    return terms(rules.after_sales.load(), rules.proofs.load(), rules.promises.load(), rules.energy.load())


def in_answers(known: Mapping[str, int], hours: tuple[time, time]) -> dict[str, str | int]:
    """As answers mention them: sums in yuan (``auto_approve_yuan``: 2000), and when people serve (``desk_hours``)."""
    sums = {name: cents for name, cents in known.items() if name.endswith("_cents")}
    yuan = {
        f"{name.removesuffix('_cents')}_yuan": f"{cents / 100:.2f}" if cents % 100 else cents // 100
        for name, cents in sums.items()
    }
    counted = {name: value for name, value in known.items() if name not in sums}
    opens, closes = hours
    return {**counted, **yuan, "desk_hours": f"{_clock(opens)}–{_clock(closes)}"}


def _clock(at: time) -> str:
    return "24:00" if at == time.max else f"{at.hour}:{at:%M}"
