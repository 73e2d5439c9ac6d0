"""After-sales rules: may goods come back, who pays the freight, must a person look, and how long does it take.

The rules are data: ``rules/after_sales.json``, a JDM graph that operators edit in GoRules' open editor
(https://editor.gorules.io) and zen-engine evaluates. Each step sees what the earlier ones found:

- ``limits``: every number of days and cents that the tables compare with; FAQ answers read them too
- ``grounds``: a table that sorts the customer's reasons
- ``entitlement``: a table with one row per rule; the first that fits decides, and null fits no comparison
- ``review``: a table that overrides an automatic approval where a person has to look
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import date
from enum import EnumType, StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_type_hints

import holidays
import zen
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from mall_adapter.mall import Decision, FreightPayer, OrderStatus, Reason, TicketKind

RULES_FILE = Path(__file__).parent / "rules" / "after_sales.json"

_STEPS = ("facts", "limits", "grounds", "entitlement", "review", "decision")
_CHINA = holidays.country_holidays("CN")


class Trade(StrEnum):
    BEAUTY = "beauty"
    DIGITAL = "digital"
    APPLIANCE = "appliance"
    CLOTHING = "clothing"
    FOOD = "food"
    COURSE = "course"


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterSalesFacts:
    """What the rules may ask about one line of an order. Checked: a misspelt trade is an error, not another rule."""

    kind: TicketKind
    reason: Reason
    order_status: OrderStatus
    days_since_delivery: int | None  # calendar days in Asia/Shanghai, 0 on the day itself; None: not delivered
    hours_since_delivery: float | None
    parcel_lost: bool
    parcel_late: bool  # arrived, or still travelling, after the promised time
    trade: Trade
    fresh: bool  # perishable food
    custom_made: bool
    opened: bool | None  # opened, activated or used; None: not asked
    amount_cents: NonNegativeInt  # what the customer paid for this line
    tickets_last_90_days: NonNegativeInt  # of this customer, this request not counted


class BrokenRules(ValueError):
    """The rules file cannot be trusted; the message names the row. Do not start with it."""


class AfterSalesPolicy:
    """The loaded rules. ``limits`` maps the names in the file to whole numbers: ``{"no_reason_days": 7, …}``."""

    def __init__(self, content: str) -> None:
        self.limits = _check(content)
        self._decision = zen.ZenEngine().create_decision(zen.ZenDecisionContent(content))

    @classmethod
    def load(cls, path: Path = RULES_FILE) -> Self:
        """Raises :class:`BrokenRules` when the file could decide wrongly."""
        try:
            return cls(path.read_text(encoding="utf-8"))
        except BrokenRules as error:
            raise BrokenRules(f"{path.name}: {error}") from error

    def decide(self, *lines: AfterSalesFacts) -> Decision:
        """Decide one request: each line on its own, amounts limited by their sum, then :func:`merge`.

        Synchronous on purpose: a line takes a third of a millisecond, less than handing it to a thread would save.
        """
        request_cents = sum(line.amount_cents for line in lines)
        return merge([self._decide_line(line, request_cents) for line in lines])

    def _decide_line(self, facts: AfterSalesFacts, request_cents: int) -> Decision:
        found = self._decision.evaluate(asdict(facts) | {"request_cents": request_cents})["result"]
        pays_back = found["allowed"] and facts.kind is not TicketKind.EXCHANGE
        return Decision(
            allowed=found["allowed"],
            rule=found["rule"],
            freight_payer=FreightPayer(found["freight_payer"]),
            auto_approve=found["auto_approve"],
            handling_days=found["handling_days"],
            refund_cents=facts.amount_cents if pays_back else 0,
            missing_facts=tuple(found["missing_facts"]),
        )


def merge(decisions: Sequence[Decision]) -> Decision:
    """One decision for a request of several lines: the strictest line speaks (``rule``) and binds the others.

    A refused line refuses the request, and nothing more is asked; else an open question comes first, else a manual
    approval. Refunds add up, the longest handling counts, and the customer pays freight before the shop does.
    """
    strictest = max(decisions, key=_strictness)
    if not strictest.allowed:
        return strictest
    payers = [decision.freight_payer for decision in decisions]
    return replace(
        strictest,
        freight_payer=min(payers, key=(FreightPayer.CUSTOMER, FreightPayer.SHOP, FreightPayer.NOBODY).index),
        handling_days=max(decision.handling_days for decision in decisions),
        refund_cents=sum(decision.refund_cents for decision in decisions),
    )


def _strictness(decision: Decision) -> tuple[int, int]:
    if not decision.allowed:
        return (2 if decision.missing_facts else 3), 0
    return int(not decision.auto_approve), decision.handling_days


def working_day_after(start: date, days: int) -> date:
    """The ``days``-th (1 or more) working day after ``start``; both are dates in Asia/Shanghai.

    Weekends and public holidays do not count; weekend days worked in exchange for a longer holiday (调休) do. The State
    Council announces those each November for the next year, and the ``holidays`` package follows. In a year that the
    installed package does not know yet only the statutory days and their substitutes are off, so a promise around a
    long holiday may be some days wrong: update the package in December.
    """
    return _CHINA.get_nth_working_day(start, days)


# The rest checks a rules file. The engine takes an unknown name for null, and a comparison that fails for "does not
# fit", so without these checks a slip of the pen would quietly move a case to another row.


class _Node(BaseModel):
    id: str
    content: dict[str, Any]


class _Edge(BaseModel):
    sourceId: str
    targetId: str


class _Graph(BaseModel):
    nodes: list[_Node]
    edges: list[_Edge]


class _Column(BaseModel):
    id: str
    field: str


class _Table(BaseModel):
    hitPolicy: Literal["first"]
    passThrough: Literal[True]
    inputs: list[_Column]
    outputs: list[_Column]
    rules: list[dict[str, str]]


class _Limit(BaseModel):
    key: Annotated[str, Field(pattern=r"^limits\.[a-z0-9_]+$")]
    value: Annotated[str, Field(pattern=r"^\d+$")]


class _Limits(BaseModel):
    passThrough: Literal[True]
    expressions: list[_Limit]


class _Grounds(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    grounds: str


class _Review(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    rule: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    auto_approve: bool
    handling_days: Annotated[int, Field(ge=0, le=30)]


class _Entitlement(_Review):
    allowed: bool
    freight_payer: Literal["customer", "shop", "nobody"]
    missing_facts: list[Literal["opened"]]

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.allowed and (self.handling_days == 0 or self.missing_facts):
            raise ValueError("an allowed request needs handling_days and asks for no missing_facts")
        if not self.allowed and self.auto_approve:
            raise ValueError("a refused request cannot be approved automatically")
        return self


def _check(content: str) -> dict[str, int]:
    """Give back the limits of a rules file that decides every request; raise BrokenRules for any other."""
    try:
        graph = _Graph.model_validate_json(content)
        nodes = {node.id: node.content for node in graph.nodes}
        if {(edge.sourceId, edge.targetId) for edge in graph.edges} != set(pairwise(_STEPS)) or set(nodes) != set(
            _STEPS
        ):
            raise ValueError(f"the nodes must be connected in this order: {' → '.join(_STEPS)}")
        expressions = _Limits.model_validate(nodes["limits"]).expressions
        tables = {step: _Table.model_validate(nodes[step]) for step in ("grounds", "entitlement", "review")}
    except ValueError as error:
        raise BrokenRules(_reason(error)) from error
    limits = {limit.key.removeprefix("limits."): int(limit.value) for limit in expressions}

    # what may stand in a column: the words of an enumeration, or None for numbers and yes/no
    words: dict[str, set[str] | None] = {
        fact: set(hint) if isinstance(hint, EnumType) else None
        for fact, hint in get_type_hints(AfterSalesFacts).items()
    }
    words["request_cents"] = None
    grounds = _check_table("grounds", tables["grounds"], _Grounds, words, limits)
    words["grounds"] = {outcome["grounds"] for outcome in grounds}
    entitlement = _check_table("entitlement", tables["entitlement"], _Entitlement, words, limits)
    words |= dict.fromkeys(_Entitlement.model_fields)
    review = _check_table("review", tables["review"], _Review, words, limits)

    for step in ("grounds", "entitlement"):
        inputs = [column.id for column in tables[step].inputs]
        open_rows = [number for number, row in enumerate(tables[step].rules, 1) if not any(map(row.get, inputs))]
        if open_rows != [len(tables[step].rules)]:
            raise BrokenRules(f"{step}: only the last row may (and must) be without conditions, not {open_rows}")
    names = Counter(outcome["rule"] for outcome in entitlement + review)
    if twice := [name for name, count in names.items() if count > 1]:
        raise BrokenRules(f"several rows have the rule name {', '.join(twice)}")
    return limits


def _check_table(
    step: str, table: _Table, model: type[BaseModel], words: dict[str, set[str] | None], limits: dict[str, int]
) -> list[dict[str, Any]]:
    """Give back the outcome of every row."""
    outcomes = []
    for number, row in enumerate(table.rules, 1):
        conditions = {column.field: row.get(column.id, "") for column in table.inputs}
        cells = {column.field: row.get(column.id, "") for column in table.outputs}
        try:
            for field, condition in conditions.items():
                _check_condition(field, condition, words, limits)
            outcomes.append(_read_outcome(cells, model))
        except ValueError as error:
            name = cells.get("rule") or cells.get("grounds") or "without a name"
            raise BrokenRules(f"{step}, row {number} ({name}): {_reason(error)}") from error
    return outcomes


def _check_condition(field: str, condition: str, words: dict[str, set[str] | None], limits: dict[str, int]) -> None:
    if field not in words:
        raise ValueError(f"there is no fact {field!r}")
    if not condition:
        return
    try:
        zen.compile_unary_expression(condition)  # validate_unary_expression of zen-engine 2.1 refuses "a", "b"
    except RuntimeError as error:
        raise ValueError(f"{field}: {condition!r} is not a condition") from error
    quoted = r"""(["'])(.*?)\1"""
    unknown = {word for _, word in re.findall(quoted, condition)} - (words[field] or set())
    unknown |= set(re.findall(r"[A-Za-z_][\w.]*", re.sub(quoted, "", condition)))
    unknown -= {"true", "false", "null"} | {f"limits.{limit}" for limit in limits}
    if unknown:
        raise ValueError(f"{field}: {condition!r} names {', '.join(sorted(unknown))}, which is unknown here")


def _read_outcome(cells: dict[str, str], model: type[BaseModel]) -> dict[str, Any]:
    outcome = {}
    for field, cell in cells.items():
        try:
            outcome[field] = json.loads(cell)
        except ValueError as error:
            raise ValueError(f"{field}: {cell!r} is not a plain value") from error
    model.model_validate(outcome)
    return outcome


def _reason(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    return "; ".join(f"{'.'.join(map(str, part['loc']))} {part['msg']}".strip() for part in error.errors())
