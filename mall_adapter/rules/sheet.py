"""A rules file as it is read: its text, its nodes, its limits, the rows of its tables."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from mall_adapter.rules.cells import (
    FACTS,
    NAME,
    OFFER_FACTS,
    RANGES,
    Values,
    borders,
    check_condition,
    check_fits,
    read_limit,
    read_outcome,
    values_of,
)
from mall_adapter.rules.faults import Bad, BrokenRules, Fault, meant
from mall_adapter.values import FreightPayer, OfferKind

LARGEST_FILE = 2_000_000
"""Bytes; a table of a thousand rows is half of it."""


LIMITS = {
    "no_reason_days": "七天无理由的天数",
    "fault_days": "质量问题的天数",
    "electronics_return_days": "数码家电可退货的天数",
    "fresh_fault_hours": "生鲜问题的小时数",
    "auto_approve_cents": "自动通过的金额上限",
    "frequent_tickets": "算作频繁售后的次数",
}
"""Limits that the bot and the answers tell customers by these names."""


def read(path: Path) -> str:
    """The text of a rules file; raises BrokenRules with a plain sentence for one that cannot be read."""

    def broken(chinese: str, english: str) -> BrokenRules:
        return BrokenRules(path.name, [Fault(chinese, english)])

    if path.is_dir():
        raise broken("这是文件夹，不是规则文件", "this is a folder, not a file of rules")
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise broken("这不是普通文件", "this is not a regular file")
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except (FileNotFoundError, ValueError):  # a NUL in the name
        raise broken("没有这个文件", "there is no such file") from None
    except OSError as error:
        raise broken(f"文件打不开（{error.strerror}）", f"it cannot be opened ({error.strerror})") from None
    if len(content) > LARGEST_FILE:
        raise broken("文件太大，不像规则文件", "it is too large for a file of rules")
    if not content.strip():
        raise broken("文件是空的", "the file is empty")
    if b"\0" in content[:200] or content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise broken("编码是 UTF-16 或不是文本，请另存为 UTF-8", "it is UTF-16 or no text: save it as UTF-8")
    try:
        return content.decode("utf-8-sig")  # Notepad's mark is no fault
    except UnicodeDecodeError:
        raise broken(
            "编码不是 UTF-8（可能是 GBK），请另存为 UTF-8", "it is not UTF-8 (GBK?): save it as UTF-8"
        ) from None


def parse(content: str) -> Any:
    """Raises Bad."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if twice := [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]:
            raise Bad(f"“{twice[0]}” 在同一处写了两次", f"{twice[0]!r} stands twice in one place")
        return dict(pairs)

    def constant(name: str) -> Any:
        raise Bad(f"{name} 不是数字", f"{name} is no number")

    try:
        parsed = json.loads(content, object_pairs_hook=unique, parse_constant=constant)
        json.dumps(parsed, ensure_ascii=False).encode()
        return parsed
    except json.JSONDecodeError as error:
        before = content[: error.pos].rstrip()
        comma = before.endswith(",") or content[error.pos : error.pos + 1] == ","
        hint = ("（多了一个逗号？）", " (a comma too many?)") if comma else ("", "")
        raise Bad(
            f"第 {error.lineno} 行第 {error.colno} 个字符附近不是 JSON{hint[0]}",
            f"not JSON near line {error.lineno}, character {error.colno}{hint[1]}",
        ) from None
    except RecursionError:
        raise Bad("括号套得太深，不是规则文件", "nested too deeply for a file of rules") from None
    except UnicodeEncodeError:
        raise Bad("有不成字的编码（半个表情符号？）", "it holds half a character") from None


def describe(content: str) -> dict[str, str]:
    """What each rule is about, by its name, as the table's rows of a proved file say; of two rows the first."""
    told: dict[str, str] = {}
    for node in json.loads(content)["nodes"]:
        table = node.get("content") or {}
        for column in table.get("outputs", []):
            if column["field"] == "rule":
                for row in table["rules"]:
                    cell, said = row.get(column["id"]), row.get("_description")
                    if cell and said:
                        told.setdefault(json.loads(cell), said)
    return told


Outcome = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """What a file of rules is to hold.

    ``outcomes``: its tables in their order, and what each gives. ``facts``: what they may ask; ``always``: those that
    are tried though none asks. ``told``: limits that cannot go, as customers are told them. ``optional``: outcomes
    that may be left out, and what they are then. ``disagreements``: cells of one row that contradict each other.
    """

    outcomes: Mapping[str, tuple[str, ...]]
    facts: Mapping[str, Values]
    disagreements: Callable[[str, Outcome], Iterator[tuple[str, Bad]]]
    told: Mapping[str, str]
    optional: Mapping[str, Outcome]
    always: tuple[str, ...] = ()

    @property
    def tables(self) -> tuple[str, ...]:
        return tuple(self.outcomes)

    @property
    def steps(self) -> tuple[str, ...]:
        return ("facts", "limits", *self.tables, "decision")


@dataclass(frozen=True, slots=True)
class Column:
    id: str
    field: str
    heading: str


@dataclass(slots=True)
class Row:
    number: int
    name: str
    conditions: dict[str, list[str]]  # by field, the empty ones left out
    outcome: Outcome
    sound: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    id: str
    title: str
    inputs: tuple[Column, ...]
    outputs: tuple[Column, ...]
    raw: tuple[Any, ...]
    rows: list[Row]
    headings: dict[str, str]


@dataclass(frozen=True, slots=True)
class Axis:
    """Values of a column, and for each condition on it an array that tells which of them it fits."""

    values: list[Any]
    fits: dict[str, Any]


class Sheet:
    """What stands in one file of this form, and what is wrong with it.

    ``facts`` has the axes of the columns that ask for facts, ``made`` of those that ask for outcomes of earlier tables.
    A row with a fault is not ``sound``: nothing can be said of it.
    """

    def __init__(self, content: str, form: Form) -> None:
        self.form = form
        self.faults: list[Fault] = []
        self.limits: dict[str, int] = {}
        self.tables: dict[str, Table] = {}
        self.titles: dict[str, str] = {}
        self.facts: dict[str, Axis] = {}
        self.made: dict[str, Axis] = {}
        try:
            nodes = self._nodes(parse(content))
        except Bad as bad:
            self.fault(bad)
            return
        self._read_limits(nodes.get("limits"))
        for step in form.tables:
            if isinstance(nodes.get(step), dict):
                try:
                    self._read_table(step, nodes[step])
                except Bad as bad:
                    self.fault(bad, step)
        for table in self.tables.values():
            self._read_outcomes(table)
        self._check_names()
        for name, values in self._fields().items():
            (self.facts if name in form.facts else self.made)[name] = self._axis(name, values)
        self._check_limits_are_used()

    @property
    def complete(self) -> bool:
        return len(self.tables) == len(self.form.tables)

    def fault(self, bad: Bad, step: str = "", row: Row | None = None, field: str = "") -> None:
        table = self.tables.get(step)
        heading = table.headings.get(field, field) if table else ""
        where = (step, self.titles.get(step, ""), row.number if row else 0, row.name if row else "", field, heading)
        if row:
            row.sound = False
        fault = Fault(bad.chinese, bad.english, *where)
        if fault not in self.faults:
            self.faults.append(fault)

    # the graph

    def _nodes(self, graph: Any) -> dict[str, Any]:
        """Contents of the nodes by their ids."""
        if not isinstance(graph, dict) or not isinstance(graph.get("nodes"), list):
            raise Bad("不是决策文件：没有节点（nodes）", "no decision file: there are no nodes")
        nodes = [node for node in graph["nodes"] if isinstance(node, dict)]
        ids = [node.get("id") for node in nodes]
        steps = self.form.steps
        kinds = ("inputNode", "expressionNode", *["decisionTableNode"] * len(self.form.tables), "outputNode")
        for step, kind in zip(steps, kinds, strict=True):
            of_step = [node for node in nodes if node.get("id") == step]
            if len(of_step) != 1:
                others = [one for one in ids if isinstance(one, str) and one not in steps]
                close = get_close_matches(step, others, 1)
                hint = (f"，是不是 {close[0]}？", f"; is it {close[0]}?") if close else ("", "")
                many = ("不止一个", "several") if of_step else ("没有", "no")
                self.fault(Bad(f"{many[0]}节点 {step}{hint[0]}", f"there is {many[1]} node {step}{hint[1]}"))
            elif of_step[0].get("type") != kind:
                self.fault(Bad(f"节点 {step} 应是 {kind}", f"node {step} has to be of type {kind}"))
            elif not isinstance(of_step[0].get("content"), dict):
                self.fault(Bad(f"节点 {step} 没有内容", f"node {step} has no content"))
            if of_step and isinstance(of_step[0].get("name"), str):
                self.titles[step] = of_step[0]["name"]
        for one in (*(one for one in ids if one not in steps), *["?"] * (len(graph["nodes"]) - len(nodes))):
            self.fault(Bad(f"多出节点 {one}，不会被用到", f"node {one} is one too many"))
        edges = graph.get("edges")
        edges = [edge for edge in edges if isinstance(edge, dict)] if isinstance(edges, list) else []
        if sorted((str(edge.get("sourceId")), str(edge.get("targetId"))) for edge in edges) != sorted(pairwise(steps)):
            order = " → ".join(steps)
            self.fault(Bad(f"节点要按这个顺序连接：{order}", f"the nodes must be connected in this order: {order}"))
        return {node["id"]: node.get("content") for node in nodes if node.get("id") in steps}

    def _read_limits(self, content: Any) -> None:
        if not isinstance(content, dict):
            return
        self._check_settings("limits", content)
        expressions = content.get("expressions")
        for number, one in enumerate(expressions if isinstance(expressions, list) else [], 1):
            one = one if isinstance(one, dict) else {}
            key, value = one.get("key"), one.get("value")
            name = key.removeprefix("limits.") if isinstance(key, str) else ""
            row = Row(number, name, {}, {})
            if not isinstance(key, str) or not key.startswith("limits.") or not NAME.fullmatch(name):
                self.fault(Bad("名字应像 limits.some_days", "a name looks like limits.some_days"), "limits", row, "key")
                continue
            if name in self.limits:
                self.fault(Bad(f"{key} 写了两次", f"{key} stands twice"), "limits", row, "key")
            self.limits[name] = 1
            try:
                self.limits[name] = read_limit(name, value)
            except Bad as bad:
                self.fault(bad, "limits", row, "value")
        told = self.form.told
        for name in (name for name in told if name not in self.limits):
            close = get_close_matches(name, self.limits.keys() - told.keys(), 1)
            hint = (f"，是不是写成了 {close[0]}？", f"; is it written {close[0]}?") if close else ("", "")
            self.fault(
                Bad(f"缺少 limits.{name}（{told[name]}）{hint[0]}", f"limits.{name} is missing{hint[1]}"), "limits"
            )

    def _check_limits_are_used(self) -> None:
        """A number that the answers tell customers, but no row compares with, is told in vain."""
        used = {
            token.removeprefix("limits.")
            for table in self.tables.values()
            for row in table.rows
            for cells in row.conditions.values()
            for cell in cells
            for token in re.findall(r"limits\.\w+", cell)
        }
        if not all(row.sound for table in self.tables.values() for row in table.rows):
            return  # it may be meant where something is misspelt
        for name in (name for name in self.form.told if name in self.limits and name not in used):
            bad = Bad(
                f"没有一行用到 limits.{name}（{self.form.told[name]}），但机器人会把它告诉顾客",
                f"no row compares with limits.{name}, though customers are told it",
            )
            self.fault(bad, "limits")

    def _check_settings(self, step: str, content: Mapping[str, Any]) -> None:
        wanted: dict[str, tuple[Any, ...]] = {"passThrough": (True,), "executionMode": ("single", None)}
        wanted |= {"inputField": (None, ""), "outputPath": (None, "")}
        if step in self.form.tables:
            wanted["hitPolicy"] = ("first",)
        for name, values in wanted.items():
            if not any(content.get(name) is value or content.get(name) == value for value in values):
                told = json.dumps(values[0])
                self.fault(Bad(f"设置 {name} 应是 {told}", f"setting {name} has to be {told}"), step)

    # the tables

    def _read_table(self, step: str, content: Mapping[str, Any]) -> None:
        self._check_settings(step, content)
        columns: list[tuple[Column, ...]] = []
        for side, told in (("inputs", "条件"), ("outputs", "结果")):
            raw = content.get(side)
            if not isinstance(raw, list) or not all(
                isinstance(one, dict) and isinstance(one.get("id"), str) and isinstance(one.get("field"), str)
                for one in raw
            ):
                raise Bad(f"{told}列（{side}）不完整", f"the columns ({side}) are incomplete")
            columns.append(
                tuple(Column(one["id"], one["field"].strip(), str(one.get("name") or one["field"])) for one in raw)
            )
        inputs, outputs = columns
        ids = Counter(column.id for column in inputs + outputs)
        if twice := [one for one, count in ids.items() if count > 1]:
            raise Bad(f"有两列的编号都是 {twice[0]}", f"two columns have the id {twice[0]}")
        if not isinstance(content.get("rules"), list) or not content["rules"]:
            raise Bad("表里没有一行规则", "there is not a row in the table")
        table = Table(
            step,
            self.titles.get(step, ""),
            inputs,
            outputs,
            tuple(content["rules"]),
            [],
            {column.field: column.heading for column in inputs + outputs},
        )
        self.tables[step] = table
        for number, raw in enumerate(table.raw, 1):
            self._read_row(table, number, raw)

    def _read_row(self, table: Table, number: int, raw: Any) -> None:
        row = Row(number, "", {}, {})
        table.rows.append(row)
        if not isinstance(raw, dict):
            self.fault(Bad("这一行不是规则", "this is no row"), table.id, row)
            return
        named = next((column.id for column in table.outputs if column.field in ("rule", "grounds")), "")
        row.name = str(raw.get(named) or raw.get("_id") or "").strip("\"' ")[:40]
        columns = {column.id: column for column in table.inputs + table.outputs}
        for key, cell in raw.items():
            if key.startswith("_") or (key not in columns and cell in ("", None)):
                continue
            if key not in columns:
                chinese, english = meant(key, columns)
                self.fault(Bad(f"没有 {key} 这一列{chinese}", f"there is no column {key}{english}"), table.id, row)
            elif not isinstance(cell, str):
                told = json.dumps(cell, ensure_ascii=False)
                write = '""' if cell is None else json.dumps(told, ensure_ascii=False)
                self.fault(
                    Bad(f"格子里是 {told}，不是文字，应写 {write}", f"the cell is {told}, no text; write {write}"),
                    *(table.id, row, columns[key].field),
                )
        for column in table.inputs:
            cell = raw.get(column.id, "")
            if isinstance(cell, str) and cell.strip():
                row.conditions.setdefault(column.field, []).append(cell)

    def _read_outcomes(self, table: Table) -> None:
        wanted, optional = self.form.outcomes[table.id], self.form.optional.get(table.id, {})
        there = Counter(column.field for column in table.outputs)
        for field in (*there, *wanted):
            if field not in wanted:
                chinese, english = meant(field, set(wanted) - set(there) or wanted)
                self.fault(Bad(f"没有“{field}”这种结果{chinese}", f"there is no outcome {field!r}{english}"), table.id)
            elif there[field] != 1 and (there[field] or field not in optional):
                many = ("不止一个", "several columns") if there[field] else ("缺少", "no column")
                self.fault(Bad(f"{many[0]}结果列 {field}", f"there are {many[1]} {field}"), table.id)
        for row, raw in zip(table.rows, table.raw, strict=True):
            row.outcome.update(optional)
            for column in table.outputs:
                cell = raw.get(column.id, "") if isinstance(raw, dict) else None
                if column.field in wanted and isinstance(cell, str):
                    try:
                        row.outcome[column.field] = read_outcome(column.field, cell)
                    except Bad as bad:
                        self.fault(bad, table.id, row, column.field)
            if len(row.outcome) == len(wanted):
                for field, wrong in self.form.disagreements(table.id, row.outcome):
                    self.fault(wrong, table.id, row, field)

    def _check_names(self) -> None:
        seen: dict[str, str] = {}
        for step in (step for step, given in self.form.outcomes.items() if "rule" in given):
            for row in self.tables[step].rows if step in self.tables else ():
                name = row.outcome.get("rule")
                if name in seen:
                    self.fault(
                        Bad(f"规则名 {name} 已在{seen[name]}用过", f"the rule name {name} is used twice"),
                        *(step, row, "rule"),
                    )
                elif name:
                    seen[name] = f"“{self.titles.get(step, step)}”第 {row.number} 行"

    def _fields(self) -> dict[str, Values]:
        """What can stand in each column that some table asks for, the outcomes of earlier tables included."""
        known = dict(self.form.facts)
        fields = {name: known[name] for name in self.form.always}
        for step in self.form.tables:
            table = self.tables.get(step)
            for column in table.inputs if table else ():
                if column.field in known:
                    fields[column.field] = known[column.field]
                else:
                    chinese, english = meant(column.field, known)
                    self.fault(
                        Bad(f"没有“{column.field}”这项事实{chinese}", f"there is no fact {column.field!r}{english}"),
                        step,
                        field=column.field,
                    )
                    for row in table.rows if table else ():
                        row.sound = row.sound and column.field not in row.conditions
            outcomes = [row.outcome for row in table.rows] if table else []
            for name in self.form.outcomes[step]:
                if name in ("rule", "grounds"):
                    known[name] = Values(words=tuple(dict.fromkeys(str(one[name]) for one in outcomes if name in one)))
                elif name == "freight_payer":
                    known[name] = Values(words=tuple(FreightPayer))
                elif name in RANGES:
                    known[name] = values_of(name, int)
                elif name != "missing_facts":
                    known[name] = Values(yes_no=True)
        return fields

    def _axis(self, field: str, values: Values) -> Axis:
        """Checks every condition on the field."""
        places = [
            (table, row, cell)
            for table in self.tables.values()
            for row in table.rows
            for cell in row.conditions.get(field, ())
        ]
        cells = list(dict.fromkeys(cell for _, _, cell in places))
        wrong = {cell: list(check_condition(field, cell, values, self.limits)) for cell in cells}
        points = values.points(borders((cell for cell in cells if not wrong[cell]), self.limits))
        fits: dict[str, list[bool]] = {}
        for cell in cells:
            if not wrong[cell]:
                try:
                    fits[cell] = check_fits(cell, values, points, self.limits)
                except Bad as bad:
                    wrong[cell].append(bad)
        for table, row, cell in places:
            for one in wrong[cell]:
                self.fault(one, table.id, row, field)
        return Axis(points, {cell: np.array(some, bool) for cell, some in fits.items()})

    # every combination


def _after_sales(step: str, outcome: Outcome) -> Iterator[tuple[str, Bad]]:
    days = outcome.get("handling_days")
    if step == "review" and days == 0:
        yield "handling_days", Bad("人工审核也要写几个工作日", "a review takes days, too")
    if step != "entitlement":
        return
    if outcome["allowed"]:
        if days == 0:
            yield "handling_days", Bad("可以办理，却没写几个工作日", "an allowed request needs days of handling")
        if outcome["missing_facts"]:
            yield "missing_facts", Bad("可以办理就不该再问", "an allowed request has nothing left to ask")
        return
    if outcome["auto_approve"]:
        yield "auto_approve", Bad("不能办理，却自动通过", "a refused request cannot be approved automatically")
    if days != 0:
        yield "handling_days", Bad("不能办理，天数应是 0", "a refused request takes 0 days")
    if outcome["freight_back"]:
        yield "freight_back", Bad("不能办理，却退运费", "a refused request gives no freight back")
    if outcome["freight_payer"] != FreightPayer.NOBODY:
        yield "freight_payer", Bad("不能办理，运费应是 nobody", "a refused request has no freight: nobody pays")


def _offers(step: str, outcome: Outcome) -> Iterator[tuple[str, Bad]]:
    costs = outcome["offer"] in COSTS
    if costs and outcome["value_cents"] == 0:
        yield "value_cents", Bad("要花钱的安抚，金额不能是 0", "what costs something is worth more than 0")
    if not costs and outcome["value_cents"] != 0:
        yield "value_cents", Bad("这种方式不花钱，金额应是 0", "this costs nothing: its value is 0")
    if outcome["offer"] in _ENDING and outcome["valid_days"] == 0:
        yield "valid_days", Bad("优惠券和能量要写有效天数", "a coupon, and points, are good for some days")
    if outcome["offer"] not in _ENDING and outcome["valid_days"]:
        yield "valid_days", Bad("只有优惠券和能量有有效天数", "only a coupon and points have days")
    if outcome["offer"] != OfferKind.COUPON and outcome["min_spend_cents"]:
        yield "min_spend_cents", Bad("只有优惠券有门槛", "only a coupon has a least to spend")


COSTS = frozenset({OfferKind.COUPON, OfferKind.POINTS, OfferKind.FREIGHT})
"""Offers that are paid from the budgets."""

_ENDING = frozenset({OfferKind.COUPON, OfferKind.POINTS})
"""Of these what is given is good for so many days."""

AFTER_SALES = Form(
    outcomes={
        "grounds": ("grounds",),
        "entitlement": (
            *("rule", "allowed", "freight_payer", "freight_back"),
            *("auto_approve", "handling_days", "missing_facts"),
        ),
        "review": ("rule", "auto_approve", "handling_days"),
    },
    facts=FACTS,
    disagreements=_after_sales,
    told=LIMITS,
    optional={"entitlement": {"freight_back": False}},
    always=("order_status", "opened"),
)

OFFERS = Form(
    outcomes={"offers": ("rule", "offer", "value_cents", "min_spend_cents", "valid_days")},
    facts=OFFER_FACTS,
    disagreements=_offers,
    told={},
    optional={},
)
