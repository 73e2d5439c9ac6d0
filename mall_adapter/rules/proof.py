"""Proves a rules file before it decides anything: every cell is read, every row reached, every combination tried.

The engine takes an unknown name for null and a comparison that fails for "does not fit", so a slip of the pen would
quietly move a case to another row. :func:`prove` therefore asks the engine what each condition fits among the values
that can occur (the words of an enumeration, yes and no, the numbers on both sides of every border), and works out from
that which row decides each combination of them. What it finds wrong is told all at once, in Chinese and English, with
the table, the row as the editor counts it, and the title of the column.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache, reduce
from itertools import cycle, product
from typing import Any

import numpy as np
import zen

from mall_adapter.rules.cells import FACTS, RANGES
from mall_adapter.rules.faults import NAMES, Bad, BrokenRules, Fault
from mall_adapter.rules.sheet import AFTER_SALES, Axis, Form, Row, Sheet, Table
from mall_adapter.values import FreightPayer, OrderStatus

MOST_COMBINATIONS = 20_000_000
"""More cannot be proved in the time that a start may take."""


_UNPAID = frozenset({OrderStatus.PENDING_PAYMENT, OrderStatus.CANCELLED})
_UNSENT = frozenset({OrderStatus.PAID, OrderStatus.PRESALE})


@dataclass(frozen=True, slots=True)
class Proof:
    """A rules file that decides every request: its limits, the most working days that each table lets one take (of
    after-sales alone), rows per table, and what was tried."""

    limits: Mapping[str, int]
    longest: Mapping[str, int]
    rows: Mapping[str, int]
    combinations: int
    trials: int


Codes = dict[str, Any]
"""For each field an array of indices into its values; the arrays broadcast to the space of all combinations."""


def prove(content: str, file: str = "", form: Form = AFTER_SALES) -> Proof:
    """Raises BrokenRules with everything that is wrong. The same content is proved once."""
    proof, faults = _prove(content, form)
    if proof is None:
        raise BrokenRules(file, faults)
    return proof


@lru_cache(maxsize=4)
def _prove(content: str, form: Form) -> tuple[Proof | None, tuple[Fault, ...]]:
    sheet = Sheet(content, form)
    proof = None
    try:
        engine = zen.ZenEngine().create_decision(zen.ZenDecisionContent(content))
    except RuntimeError:
        if not sheet.faults:  # most likely it is for one of them
            sheet.fault(Bad("规则引擎读不了这个文件", "the engine cannot read this file"))
    else:
        trial = _AfterSales if form is AFTER_SALES else _OneTable
        proof = trial(sheet, engine).run() if sheet.complete else None
    return (None if sheet.faults else proof), tuple(sheet.faults)


class _Trial:
    """Finds out which row of a table decides each combination of facts."""

    def __init__(self, sheet: Sheet, engine: Any) -> None:
        self.sheet, self.engine = sheet, engine

    def _lay_out(self, *tables: Table) -> Any:
        """The space of everything that the tables ask for, and which of its combinations can occur; None where there
        are too many."""
        asked = {field for table in tables for row in table.rows for field in row.conditions}
        asked |= set(self.sheet.form.always)  # for what no table may decide, whether it asks or not
        axes = {name: axis for name, axis in self.sheet.facts.items() if name in asked}
        possible, self.space = _without_doubles(axes)
        shape = tuple(len(axis.values) for axis in self.space.values())
        if math.prod(shape) > MOST_COMBINATIONS:
            self.sheet.fault(Bad("条件里不同的数字太多，无法逐一验证", "too many different numbers to try them all"))
            return None
        self.codes: Codes = {
            name: np.arange(len(axis.values)).reshape([-1 if i == at else 1 for i in range(len(shape))])
            for at, (name, axis) in enumerate(self.space.items())
        }
        return possible

    def _first_fit(self, table: Table, codes: Codes, axes: Mapping[str, Axis], never: Any) -> Any:
        """Which row decides each combination: its index, -1 for none, -2 where the combination cannot occur."""
        used = [codes[field] for row in table.rows for field in row.conditions if field in codes]
        shape = np.broadcast_shapes(never.shape, *(array.shape for array in used))
        decided = np.where(np.broadcast_to(never, shape), np.int16(-2), np.int16(-1))
        masks: dict[int, Any] = {}
        for index, row in enumerate(table.rows):
            if not row.sound:
                continue
            if not row.conditions and index + 1 < len(table.rows):
                below = f"{row.number + 1}–{len(table.rows)}"
                bad = Bad(
                    f"没有条件，下面第 {below} 行永远用不上", f"it has no conditions: rows {below} can never be reached"
                )
                self.sheet.fault(bad, table.id, row)
                decided[decided == -1] = index
                break
            fits = [axes[field].fits[cell][codes[field]] for field, cells in row.conditions.items() for cell in cells]
            mask = masks[index] = reduce(np.logical_and, fits, np.ones((1,) * len(shape), bool))
            hit = mask & (decided == -1)
            if hit.any():
                decided[hit] = index
                continue
            above = [int(one) for one in np.unique(decided[np.broadcast_to(mask, shape)]) if one >= 0]
            alone = [one for one in above if not (mask & ~masks[one]).any()]
            self.sheet.fault(_unreachable(row, [table.rows[one] for one in alone[:1] or above]), table.id, row)
        return decided

    def _check_gap(self, table: Table, decided: Any) -> bool:
        """Whether a combination is without a row. Not told of a table with faulty rows: it might be theirs."""
        if not (decided == -1).any():
            return False
        if not all(row.sound for row in table.rows):
            return True
        at = np.unravel_index(int((decided == -1).argmax()), decided.shape)
        facts = {name: axis.values[i] for (name, axis), i in zip(self.space.items(), at, strict=True)}
        if "grounds" in self.codes:
            row = self.sheet.tables["grounds"].rows[int(np.broadcast_to(self.codes["grounds"], decided.shape)[at])]
            facts["grounds"] = row.outcome["grounds"]
        asked = {name: value for name, value in facts.items() if any(name in row.conditions for row in table.rows)}
        example = "，".join(f"{table.headings[name]}={_told(value)}" for name, value in asked.items())
        english = ", ".join(f"{name}={json.dumps(value)}" for name, value in asked.items())
        bad = Bad(
            f"有情况没有一行管，例如：{example}（最后加一行不填条件的）",
            f"no row decides, for example, {english} (end with a row without conditions)",
        )
        self.sheet.fault(bad, table.id)
        return True

    def _compare(self, found: Mapping[str, Any], expected: Mapping[str, Any], step: str, row: Row) -> None:
        """What the engine has found, with what the table says."""
        left_out = self.sheet.form.optional.get(step, {})
        if any(found.get(name, left_out.get(name)) != value for name, value in expected.items()):
            bad = Bad(
                f"试算得 {found.get('rule')}，按表应是 {expected['rule']}",
                f"a trial gave {found.get('rule')} where the table says {expected['rule']}",
            )
            self.sheet.fault(bad, step, row)


class _OneTable(_Trial):
    """What a single table decides."""

    def run(self) -> Proof | None:
        """None where something is wrong; the sheet has it then."""
        readable = not self.sheet.faults
        (table,) = self.sheet.tables.values()
        if (possible := self._lay_out(table)) is None:
            return None
        decided = self._first_fit(table, self.codes, self.space, ~possible)
        if self._check_gap(table, decided) or not readable or self.sheet.faults:
            return None
        occurring = np.flatnonzero(decided >= 0)
        where = dict(zip(self.space, np.unravel_index(occurring, decided.shape), strict=True))
        rows = decided.ravel()[occurring].astype(np.int64)
        trials: dict[int, None] = {}
        for name, array in where.items():  # each row meets each value of each fact
            met = rows * len(self.space[name].values) + array
            trials |= dict.fromkeys(np.unique(met, return_index=True)[1].tolist())
        usual = {name: values.points(())[0] for name, values in self.sheet.form.facts.items()}
        for at in trials:
            facts = {name: axis.values[int(where[name][at])] for name, axis in self.space.items()}
            row = table.rows[int(rows[at])]
            self._compare(self.engine.evaluate(usual | facts)["result"], row.outcome, table.id, row)
        if self.sheet.faults:
            return None
        return Proof(dict(self.sheet.limits), {}, {table.id: len(table.rows)}, len(occurring), len(trials))


class _AfterSales(_Trial):
    """What the tables of after-sales decide together, and what the review makes of it."""

    def __init__(self, sheet: Sheet, engine: Any) -> None:
        super().__init__(sheet, engine)
        self.grounds, self.entitlement, self.review = (sheet.tables[step] for step in sheet.form.tables)

    def run(self) -> Proof | None:
        """None where something is wrong; the sheet has it then."""
        readable = not self.sheet.faults
        if (possible := self._lay_out(self.grounds, self.entitlement)) is None:
            return None
        shape = tuple(len(axis.values) for axis in self.space.values())
        sorted_reasons = self._first_fit(self.grounds, self.codes, self.space, np.zeros((1,) * len(shape), bool))
        if (sorted_reasons < 0).any():
            self._check_gap(self.grounds, sorted_reasons)
            return None
        self.codes["grounds"] = sorted_reasons
        decided = self._first_fit(self.entitlement, self.codes, self.space | self._made_by_rows({"grounds"}), ~possible)
        gap = self._check_gap(self.entitlement, decided)
        return self._run_review(decided) if readable and not gap else None

    def _made_by_rows(self, names: Set[str]) -> dict[str, Axis]:
        """Axes of outcomes by the rows that give them, not by their values."""
        axes = {}
        for name in names & self.sheet.made.keys():
            axis, table = self.sheet.made[name], self.grounds if name == "grounds" else self.entitlement
            outcomes = [row.outcome.get(name) for row in table.rows]
            at = [
                max((i for i, point in enumerate(axis.values) if _reaches(point, one)), default=0) for one in outcomes
            ]
            axes[name] = Axis(outcomes, {cell: fits[at] for cell, fits in axis.fits.items()})
        return axes

    def _run_review(self, decided: Any) -> Proof | None:
        """What the review makes of each decision, and then the engine's own word on a choice of everything."""
        sheet, space = self.sheet, self.space
        asked = {field for row in self.review.rows for field in row.conditions} | {"order_status", "opened"}
        _, own = _without_doubles({name: sheet.facts[name] for name in sheet.facts if name in asked - space.keys()})

        occurring = np.flatnonzero(decided >= 0)
        where = dict(zip(space, np.unravel_index(occurring, decided.shape), strict=True))
        rows = decided.ravel()[occurring].astype(np.int64)
        told = {name: where[name] for name in space if name in asked}  # what else a review may ask: a case each
        if "grounds" in asked:
            told["grounds"] = np.broadcast_to(self.codes["grounds"], decided.shape).ravel()[occurring]
        sizes = [len(self.entitlement.rows), *(int(array.max()) + 1 for array in told.values())]
        keys = np.ravel_multi_index([rows, *told.values()], sizes)
        _, first, case_of = np.unique(keys, return_index=True, return_inverse=True)

        upright = (-1, *(1,) * len(own))
        codes: Codes = {name: array[first].reshape(upright) for name, array in told.items()}
        codes |= {name: rows[first].reshape(upright) for name in asked & sheet.made.keys() - {"grounds"}}
        for i, (name, axis) in enumerate(own.items()):
            codes[name] = np.arange(len(axis.values)).reshape([1, *(-1 if i == j else 1 for j in range(len(own)))])
        shape = (len(first), *(len(axis.values) for axis in own.values()))
        reviewed = self._first_fit(self.review, codes, space | own | self._made_by_rows(asked), np.zeros(shape, bool))
        for at, over in zip(first, reviewed, strict=True):
            facts = {name: space[name].values[int(where[name][at])] for name in ("order_status", "opened")}
            row = self.entitlement.rows[int(rows[at])]
            self._check_decision(row, facts, [self.review.rows[int(i)] for i in np.unique(over) if i >= 0])
        if sheet.faults:
            return None

        trials: dict[int, None] = {}
        for name, array in where.items():  # each row meets each value of each fact
            met = rows * len(space[name].values) + array
            trials |= dict.fromkeys(np.unique(met, return_index=True)[1].tolist())
        turns = list(np.ndindex(shape[1:]))
        for at, turn in zip(trials, cycle(turns), strict=False):
            facts = {name: axis.values[int(where[name][at])] for name, axis in space.items()}
            facts |= {name: axis.values[i] for i, (name, axis) in zip(turn, own.items(), strict=True)}
            over = int(reviewed[(case_of[at], *turn)])
            self._try_engine(self.entitlement.rows[int(rows[at])], self.review.rows[over] if over >= 0 else None, facts)
        count = {step: len(table.rows) for step, table in sheet.tables.items()}
        longest = {
            table.id: max((row.outcome["handling_days"] for row in table.rows), default=0)
            for table in (self.entitlement, self.review)
        }
        return Proof(dict(sheet.limits), longest, count, len(occurring) * len(turns), len(trials))

    def _try_engine(self, row: Row, review: Row | None, facts: dict[str, Any]) -> None:
        expected = row.outcome | (review.outcome if review else {})
        usual = {name: values.points(())[0] for name, values in FACTS.items()}
        found = self.engine.evaluate(usual | facts)["result"]
        self._compare(found, expected, "entitlement", row)

    def _check_decision(self, row: Row, facts: Mapping[str, Any], reviews: Sequence[Row]) -> None:
        """A row that is right by itself may still decide what nobody can want."""
        status, outcome = facts["order_status"], row.outcome
        told = NAMES.get(status, status)
        for review in () if outcome["allowed"] else reviews:
            bad = Bad(
                "这一行会改写被拒绝的申请，请加条件“本可自动通过”= true",
                "this row overrides refusals; let it ask for auto_approve = true",
            )
            self.sheet.fault(bad, "review", review)
        if outcome["allowed"] and status in _UNPAID:
            bad = Bad(f"{told}的订单也会通过，可是没有钱可退", f"it allows orders that are {status}: nothing was paid")
            self.sheet.fault(bad, "entitlement", row, "allowed")
        if outcome["allowed"] and status in _UNSENT and outcome["freight_payer"] != FreightPayer.NOBODY:
            bad = Bad(
                f"{told}的订单没有东西要寄，运费应是 nobody",
                f"nothing was sent of orders that are {status}: nobody pays",
            )
            self.sheet.fault(bad, "entitlement", row, "freight_payer")
        if outcome["missing_facts"] and facts["opened"] is not None:
            bad = Bad(
                "已经知道有没有拆封还会再问，请加条件 null", "it asks again what is known; let it ask for opened = null"
            )
            self.sheet.fault(bad, "entitlement", row, "missing_facts")


def _unreachable(row: Row, above: Sequence[Row]) -> Bad:
    if not above:
        return Bad("这一行的条件互相矛盾，永远用不上", "its conditions contradict each other: it can never be reached")
    told = "、".join(f"第 {one.number} 行（{one.name}）" for one in above[:3]) + ("等" if len(above) > 3 else "")
    english = ", ".join(f"row {one.number} ({one.name})" for one in above[:3]) + (", …" if len(above) > 3 else "")
    same = len(above) == 1 and above[0].conditions == row.conditions
    how = ("条件相同", "the same conditions") if same else ("已全部包含", "covered")
    return Bad(f"永远用不上：{told}{how[0]}", f"it can never be reached: {how[1]} by {english}")


def _reaches(point: Any, value: Any) -> bool:
    """Of numbers a point stands for those up to the next one, too."""
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (point, value))
    return bool(point <= value if numbers else point == value)


def _without_doubles(axes: Mapping[str, Axis]) -> tuple[Any, dict[str, Axis]]:
    """Values that no condition tells apart become one; and which of the combinations can occur.

    Days and hours since the delivery belong together: on day 3 between 48 and 96 hours have passed.
    """
    classes: dict[str, Any] = {}
    fewer: dict[str, Axis] = {}
    for name, axis in axes.items():
        rows = [*axis.fits.values(), np.array([value is None for value in axis.values])]
        if name == "order_status":
            rows += [np.array([value in group for value in axis.values]) for group in (_UNPAID, _UNSENT)]
        _, first, inverse = np.unique(np.array(rows), axis=1, return_index=True, return_inverse=True)
        classes[name] = inverse.ravel()
        fewer[name] = Axis([axis.values[i] for i in first], {cell: fits[first] for cell, fits in axis.fits.items()})
    names = list(axes)
    possible = np.ones((1,) * len(names), bool)
    days, hours = "days_since_delivery", "hours_since_delivery"
    if days in axes and hours in axes:
        pairs = np.zeros((len(fewer[days].values), len(fewer[hours].values)), bool)
        for (i, span), (j, stretch) in product(
            enumerate(_days(axes[days].values)), enumerate(_hours(axes[hours].values))
        ):
            if _meet(span, stretch):
                pairs[classes[days][i], classes[hours][j]] = True
        if names.index(days) > names.index(hours):
            pairs = pairs.T
        possible = pairs.reshape([len(fewer[name].values) if name in (days, hours) else 1 for name in names])
    return possible, fewer


Span = tuple[float, float] | None
"""From and to; the same twice for a moment, None for "not delivered"."""


def _days(points: Sequence[int | None]) -> Iterator[Span]:
    """In hours, without their ends: a day may begin a moment after the delivery's and end just before the next."""
    for point, next_ in zip(points, [*points[1:], None], strict=True):
        last = RANGES["days_since_delivery"][1] if next_ is None else next_ - 1
        yield None if point is None else ((point - 1) * 24, (last + 1) * 24)


def _hours(points: Sequence[float | None]) -> Iterator[Span]:
    """Every other one is a border, those between stand for all between."""
    for i, point in enumerate(points):
        if point is None:
            yield None
        elif i % 2:
            yield points[i - 1] or 0, points[i + 1] or 0
        else:
            yield point, point


def _meet(span: Span, stretch: Span) -> bool:
    if span is None or stretch is None:
        return span is stretch
    if stretch[0] == stretch[1]:
        return span[0] < stretch[0] < span[1]
    return max(span[0], stretch[0]) < min(span[1], stretch[1])


def _told(value: Any) -> str:
    if value is None:
        return "（无）"
    if isinstance(value, bool):
        return "是" if value else "否"
    return NAMES.get(value, str(value)) if isinstance(value, str) else f"{value:g}"
