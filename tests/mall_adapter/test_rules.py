"""A rules file is proved when it is loaded: what an operator's hand may do to it is found, and told with its place."""

# ruff: noqa: E501 (tables: a line for each slip)

from __future__ import annotations

import copy
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from operator import ge, gt, le, lt
from pathlib import Path
from typing import Any

import pytest
import zen

import settings
from mall_adapter.policy import AfterSalesPolicy
from mall_adapter.rules import BrokenRules, Fault, prove, read
from tests.stack import UNPRIVILEGED

Graph = dict[str, Any]
Slip = Callable[[Graph], object]

SHIPPED: Graph = json.loads(settings.rules_file().read_text(encoding="utf-8"))


def graph() -> Graph:
    return copy.deepcopy(SHIPPED)


def node(content: Graph, step: str) -> Graph:
    found: Graph = next(node for node in content["nodes"] if node["id"] == step)["content"]
    return found


def faults(content: Graph) -> list[Fault]:
    try:
        prove(json.dumps(content, ensure_ascii=False))
    except BrokenRules as error:
        return list(error.faults)
    return []


def cell(step: str, row: int, column: str, value: Any) -> Slip:
    """The cell becomes ``value``; rows count from 1, as in the editor."""
    return lambda g: node(g, step)["rules"][row - 1].update({column: value})


def entitlement(row: int, column: str, value: Any) -> Slip:
    return cell("entitlement", row, column, value)


def limit(index: int, **changes: Any) -> Slip:
    return lambda g: node(g, "limits")["expressions"][index].update(changes)


def setting(step: str, **changes: Any) -> Slip:
    return lambda g: node(g, step).update(changes)


def column(step: str, side: str, index: int, **changes: Any) -> Slip:
    return lambda g: node(g, step)[side][index].update(changes)


def without_column(step: str, side: str, field: str) -> Slip:
    """As the editor does it: the cells go, too."""

    def slip(g: Graph) -> None:
        table = node(g, step)
        gone = next(one for one in table[side] if one["field"] == field)
        table[side].remove(gone)
        for row in table["rules"]:
            row.pop(gone["id"], None)

    return slip


def no_limit_but_a_number(g: Graph) -> None:
    for row in node(g, "entitlement")["rules"]:
        row["in_days_since_delivery"] = row["in_days_since_delivery"].replace("limits.no_reason_days", "7")


def without_rows(step: str, *rows: int) -> Slip:
    def slip(g: Graph) -> None:
        table = node(g, step)
        table["rules"] = [row for number, row in enumerate(table["rules"], 1) if number not in rows]

    return slip


def row_again(step: str, row: int, to: int) -> Slip:
    def slip(g: Graph) -> None:
        rows = node(g, step)["rules"]
        rows.insert(to - 1, {**rows[row - 1], "_id": "again", "out_rule": '"again"'})

    return slip


BROKEN: dict[str, tuple[Slip, str, str]] = {
    # what: the slip, what is said in Chinese, and in English
    # -- types of conditions
    "true as text": (entitlement(6, "in_parcel_lost", '"true"'), "第 6 行（lost_parcel）“包裹丢失”列：“true”是文字，应写 true，不加引号", "entitlement, row 6 (lost_parcel), parcel_lost: \"true\" is a text; write true without quotes"),
    "1 for yes": (entitlement(11, "in_fresh", "1"), "第 11 行（fresh_no_reason）“生鲜”列：1 是数字，这里应写 true 或 false", "fresh: 1 is a number"),
    "True, as Python writes it": (entitlement(11, "in_fresh", "True"), "不认识 True，应写 true", "write true"),
    "yes": (entitlement(11, "in_fresh", "yes"), "不认识 yes，应写 true", "write true"),
    "是": (entitlement(11, "in_fresh", "是"), "“生鲜”列：「是」从「是」起读不懂", "cannot be read"),
    "number in quotes": (entitlement(26, "in_days_since_delivery", '> "7"'), "第 26 行（no_reason_too_late）“签收后天数(次日为第1天)”列：数字加了引号，应写 7", "a number in quotes; write 7"),
    "word for a number": (entitlement(26, "in_days_since_delivery", '"seven"'), "“seven”是文字，这一列是数字", "column of numbers"),
    "yes for a number": (entitlement(26, "in_days_since_delivery", "true"), "这一列不是“是/否”", "no column of yes and no"),
    "number for a word": (entitlement(28, "in_trade", "3"), "第 28 行（opened_cosmetics）“行业”列：3 是数字，这一列是文字", "column of words"),
    "word without quotes": (entitlement(28, "in_trade", "beauty"), '文字要加引号，应写 "beauty"', 'write "beauty"'),
    "null where there always is a value": (entitlement(6, "in_parcel_lost", "null"), "这一列总有值，null 永远不成立", "null never fits"),
    # -- the keyboard
    "full-width number": (entitlement(26, "in_days_since_delivery", "> ７"), "「> ７」里有中文标点或全角字符，应写成 > 7", "full-width characters; write > 7"),
    "full-width comparison": (entitlement(26, "in_days_since_delivery", "＞limits.no_reason_days"), "应写成 >limits.no_reason_days", "full-width"),
    "≤": (entitlement(17, "in_days_since_delivery", "≤ limits.fault_days"), "应写成 <= limits.fault_days", "full-width"),
    "Chinese comma": (entitlement(3, "in_order_status", '"paid"，"presale"'), '应写成 "paid","presale"', "full-width"),
    "curly quotes": (entitlement(28, "in_trade", "“beauty”"), '应写成 "beauty"', "full-width"),
    "word of the shop": (entitlement(28, "in_trade", "美妆"), '「美妆」应写 "beauty"', 'is written "beauty"'),
    "number with its unit": (entitlement(26, "in_days_since_delivery", "> 7天"), "从「天」起读不懂", "cannot be read from '天' on"),
    # -- unknown words
    "misspelt trade": (entitlement(28, "in_trade", '"beuaty"'), "没有“beuaty”这个词，是不是 beauty？", "did you mean beauty?"),
    "misspelt reason": (cell("grounds", 1, "in_reason", '"qualty"'), "表“理由归类”第 1 行（quality）“顾客选的理由”列：没有“qualty”这个词，是不是 quality？", "grounds, row 1 (quality), reason"),
    "misspelt kind": (entitlement(7, "in_kind", '"exchang"'), "是不是 exchange？", "did you mean exchange?"),
    "unknown status": (entitlement(1, "in_order_status", '"???"'), "可以写：cancelled（已取消）、completed（已完成）", "known are cancelled, completed"),
    "misspelt limit": (cell("review", 1, "in_order_cents", "> limits.auto_aprove_cents"), "是不是 limits.auto_approve_cents？", "did you mean limits.auto_approve_cents?"),
    "limit without its first half": (cell("review", 1, "in_order_cents", "> auto_approve_cents"), "不认识 auto_approve_cents，是不是 limits.auto_approve_cents？", "did you mean"),
    "limit of another unit": (entitlement(26, "in_days_since_delivery", "> limits.fresh_fault_hours"), "limits.fresh_fault_hours 和这一列的单位不同", "of another unit"),
    "renamed fact": (column("entitlement", "inputs", 0, field="order_state"), "没有“order_state”这项事实，是不是 order_status？", "did you mean order_status?"),
    "grounds that nobody gives": (entitlement(9, "in_grounds", '"lat"'), "没有“lat”这个词，是不是 late？", "did you mean late?"),
    # -- conditions that never fit
    "interval the wrong way round": (entitlement(34, "in_days_since_delivery", "[7..0]"), "第 34 行（seven_days_no_reason）“签收后天数(次日为第1天)”列：「[7..0]」永远不成立（可能的值：0 到 3650）", "can never fit anything (values go from 0 to 3650)"),
    "one of two intervals is empty": (entitlement(34, "in_days_since_delivery", "[0..7], [9..8]"), "「[9..8]」永远不成立", "'[9..8]' can never fit"),
    "empty open interval": (entitlement(34, "in_days_since_delivery", "(3..4)"), "「(3..4)」永远不成立", "can never fit"),
    "negative days": (entitlement(34, "in_days_since_delivery", "< 0"), "「< 0」永远不成立", "can never fit"),
    "null after a comparison": (entitlement(34, "in_days_since_delivery", "<= 7, null"), "后面的部分不起作用，请写成 null, <= 7", "write null, <= 7"),
    "half a condition": (entitlement(34, "in_days_since_delivery", "<="), "「<=」不是条件", "is not a condition"),
    "a dash for nothing": (entitlement(34, "in_days_since_delivery", "-"), "「-」从「-」起读不懂", "cannot be read"),
    "formula": (entitlement(34, "in_days_since_delivery", "<= limits.no_reason_days + 1"), "不能写公式", "formulas are not allowed"),
    # -- outcomes
    "no freight payer": (entitlement(25, "out_freight_payer", ""), "第 25 行（shop_error）“运费承担”列：不能空着", "freight_payer: it is empty"),
    "unknown freight payer": (entitlement(25, "out_freight_payer", '"seller"'), "没有“seller”这种运费承担，可以写：customer（顾客）、nobody（无运费）、shop（商家）", "'seller' cannot pay the freight"),
    "freight payer in Chinese": (entitlement(25, "out_freight_payer", '"商家"'), "是不是 shop？", "did you mean shop?"),
    "freight payer without quotes": (entitlement(25, "out_freight_payer", "shop"), '「shop」应写成 "shop"', 'should be "shop"'),
    "allowed as text": (entitlement(25, "out_allowed", '"true"'), "第 25 行（shop_error）“可以办理”列：\"true\" 不是“是/否”，应写 true 或 false", "is not yes or no"),
    "allowed as a number": (entitlement(25, "out_allowed", "1"), "1 不是“是/否”", "write true or false"),
    "True as an outcome": (entitlement(25, "out_allowed", "True"), "「True」应写成 true", "should be true"),
    "days as text": (entitlement(25, "out_handling_days", '"3"'), "“处理工作日”列：\"3\" 不是整数天数", "no whole number of days"),
    "half a day": (entitlement(25, "out_handling_days", "2.5"), "2.5 不是整数天数", "no whole number of days"),
    "negative days of handling": (entitlement(25, "out_handling_days", "-3"), "-3 天超出范围", "-3 days is not from 0 to 30"),
    "a month too many": (entitlement(25, "out_handling_days", "300"), "300 天超出范围", "300 days"),
    "full-width days": (entitlement(25, "out_handling_days", "３"), "「３」应写成 3", "should be 3"),
    "formula as outcome": (cell("review", 1, "out_handling_days", "1 + 4"), "表“要不要人工审核”第 1 行（over_limit）“处理工作日”列：「1 + 4」不是普通的值", "review, row 1 (over_limit), handling_days"),
    "a question that nobody can ask": (entitlement(32, "out_missing_facts", '["weight"]'), '应写 [] 或 ["opened"]', 'should be [] or ["opened"]'),
    "rule name in Chinese": (entitlement(25, "out_rule", '"发错货"'), "“发错货”只能用小写字母、数字和下划线", "lower-case letters"),
    "rule name twice": (entitlement(30, "out_rule", '"opened_cosmetics"'), "规则名 opened_cosmetics 已在“能不能办、谁付运费”第 28 行用过", "used twice"),
    "the name of a refusal in the review": (cell("review", 2, "out_rule", '"shop_error"'), "规则名 shop_error 已在“能不能办、谁付运费”第 25 行用过", "review, row 2"),
    # -- outcomes that contradict
    "allowed but never handled": (entitlement(24, "out_handling_days", "0"), "第 24 行（quality_fault）“处理工作日”列：可以办理，却没写几个工作日", "needs days of handling"),
    "refused but approved": (entitlement(30, "out_auto_approve", "true"), "第 30 行（opened_food）“自动通过”列：不能办理，却自动通过", "cannot be approved automatically"),
    "refused with freight": (entitlement(30, "out_freight_payer", '"customer"'), "不能办理，运费应是 nobody", "has no freight"),
    "allowed is turned over": (entitlement(34, "out_allowed", "false"), "不能办理，却自动通过", "cannot be approved"),
    "refusal is turned over": (entitlement(30, "out_allowed", "true"), "可以办理，却没写几个工作日", "needs days"),
    "allowed and asks": (entitlement(34, "out_missing_facts", '["opened"]'), "可以办理就不该再问", "nothing left to ask"),
    "asks for ever": (entitlement(32, "in_opened", ""), "第 32 行（ask_opened）“需要先问”列：已经知道有没有拆封还会再问", "asks again what is known"),
    "money for what was never paid": (lambda g: (entitlement(1, "out_allowed", "true")(g), entitlement(1, "out_handling_days", "1")(g)), "待付款的订单也会通过，可是没有钱可退", "orders that are pending_payment: nothing was paid"),
    "freight of what was never sent": (entitlement(5, "out_freight_payer", '"customer"'), "待发货的订单没有东西要寄，运费应是 nobody", "nothing was sent"),
    "review of refusals": (cell("review", 2, "in_auto_approve", ""), "表“要不要人工审核”第 2 行（frequent_returns）：这一行会改写被拒绝的申请", "overrides refusals"),
    "freight back for a refusal": (entitlement(1, "out_freight_back", "true"), "不能办理，却退运费", "a refused request gives no freight back"),
    "review without days": (cell("review", 1, "out_handling_days", "0"), "人工审核也要写几个工作日", "a review takes days"),
    # -- rows that are never reached, combinations without a row
    "a row without conditions above others": (entitlement(1, "in_order_status", ""), "第 1 行（order_unpaid）：没有条件，下面第 2–35 行永远用不上", "rows 2–35 can never be reached"),
    "the same row again": (row_again("entitlement", 28, 30), "第 30 行（again）：永远用不上：第 28 行（opened_cosmetics）条件相同", "the same conditions by row 28 (opened_cosmetics)"),
    "a row below a wider one": (row_again("entitlement", 4, 6), "第 6 行（again）：永远用不上：第 4 行（not_shipped_custom）", "can never be reached"),
    "a row covered by one": (entitlement(28, "in_order_status", '"paid"'), "第 28 行（opened_cosmetics）：永远用不上：第 5 行（not_shipped）已全部包含", "covered by row 5 (not_shipped)"),
    "a row covered by several": (entitlement(24, "in_trade", '"digital", "appliance"'), "第 24 行（quality_fault）：永远用不上：第 13 行（fresh_fault_refund）、第 14 行（fresh_fault_resend）、第 15 行（fresh_fault_too_late）等已全部包含", "covered by row 13"),
    "days and hours that cannot meet": (entitlement(14, "in_days_since_delivery", "> 5"), "第 14 行（fresh_fault_resend）：这一行的条件互相矛盾", "contradict each other"),
    "a review that never comes": (cell("review", 2, "in_order_status", '"cancelled"'), "第 2 行（frequent_returns）：这一行的条件互相矛盾", "contradict each other"),
    "grounds that are never reached": (cell("grounds", 4, "in_reason", '"quality"'), "表“理由归类”第 4 行（late）：永远用不上：第 1 行（quality）条件相同", "grounds, row 4 (late)"),
    "no row for the rest": (without_rows("entitlement", 35), "有情况没有一行管，例如：", "no row decides, for example"),
    "no grounds for the rest": (cell("grounds", 5, "in_reason", '"dislike", "wrong_size", "other"'), "表“理由归类”：有情况没有一行管，例如：顾客选的理由=不想要了", 'no row decides, for example, reason="changed_mind"'),
    "a gap in the days": (lambda g: (entitlement(35, "in_order_status", '"delivered"')(g)), "例如：订单状态=已完成", 'order_status="completed"'),
    # -- columns
    "column of a condition is gone": (without_column("entitlement", "inputs", "custom_made"), "第 5 行（not_shipped）：永远用不上：第 4 行（not_shipped_custom）条件相同", "row 5 (not_shipped)"),
    "column of the status is gone": (without_column("entitlement", "inputs", "order_status"), "没有条件", "no conditions"),
    "column of an outcome is gone": (without_column("entitlement", "outputs", "freight_payer"), "表“能不能办、谁付运费”：缺少结果列 freight_payer", "there are no column freight_payer"),
    "renamed outcome": (column("entitlement", "outputs", 2, field="freight"), "没有“freight”这种结果，是不是 freight_payer？", "did you mean freight_payer?"),
    "cell of no column": (lambda g: node(g, "entitlement")["rules"][5].update(in_parcel_lots="true"), "第 6 行（lost_parcel）：没有 in_parcel_lots 这一列，是不是 in_parcel_lost？", "did you mean in_parcel_lost?"),
    "two columns of one id": (column("entitlement", "inputs", 1, id="in_order_status"), "有两列的编号都是 in_order_status", "two columns have the id"),
    "columns without a field": (lambda g: node(g, "review")["inputs"][0].pop("field"), "表“要不要人工审核”：条件列（inputs）不完整", "columns (inputs) are incomplete"),
    # -- cells that are no text
    "an editor's null": (entitlement(28, "in_trade", None), "第 28 行（opened_cosmetics）“行业”列：格子里是 null，不是文字，应写 \"\"", "the cell is null, no text"),
    "a bare number": (entitlement(28, "out_handling_days", 0), "格子里是 0，不是文字，应写 \"0\"", 'write "0"'),
    "a bare false": (entitlement(28, "out_allowed", False), "格子里是 false，不是文字，应写 \"false\"", 'write "false"'),
    "a row that is null": (lambda g: node(g, "review")["rules"].append(None), "第 5 行：这一行不是规则", "review, row 5"),
    "rows that are no list": (setting("review", rules={}), "表里没有一行规则", "not a row in the table"),
    # -- limits
    "limit in words": (limit(0, value='"seven"'), "表“期限与额度”第 1 行（no_reason_days）“value”列：「\"seven\"」不是整数", "is no whole number"),
    "limit in quotes": (limit(0, value='"7"'), "应写 7", "write 7"),
    "full-width limit": (limit(0, value="７"), "「７」不是整数，应写 7", "write 7"),
    "limit of zero days": (limit(0, value="0"), "0 超出范围，应在 1 到 3650 之间", "not between 1 and 3650"),
    "negative limit": (limit(1, value="-15"), "「-15」不是整数", "no whole number"),
    "limit as a number": (limit(1, value=15), "应写整数", "a whole number is expected"),
    "limit with a fraction": (limit(4, value="2000.5"), "「2000.5」不是整数", "no whole number"),
    "limit of a century": (limit(1, value="36500"), "36500 超出范围", "36500 is not between"),
    "limit twice": (limit(1, key="limits.no_reason_days"), "limits.no_reason_days 写了两次", "stands twice"),
    "renamed limit": (limit(0, key="limits.no_reasons_days"), "缺少 limits.no_reason_days（七天无理由的天数），是不是写成了 no_reasons_days？", "is it written no_reasons_days?"),
    "limit without its first half, where it is made": (limit(0, key="no_reason_days"), "名字应像 limits.some_days", "a name looks like"),
    "a limit that is told but not kept": (no_limit_but_a_number, "没有一行用到 limits.no_reason_days", "no row compares with limits.no_reason_days"),
    "no limits": (setting("limits", expressions=None), "缺少 limits.fault_days", "limits.fault_days is missing"),
    # -- the graph
    "all hits instead of the first": (setting("review", hitPolicy="collect"), '表“要不要人工审核”：设置 hitPolicy 应是 "first"', "setting hitPolicy has to be"),
    "facts that do not pass": (setting("grounds", passThrough=False), "设置 passThrough 应是 true", "passThrough"),
    "a table that looks elsewhere": (setting("grounds", inputField="order"), "设置 inputField 应是 null", "inputField"),
    "review cut off": (lambda g: g["edges"].pop(3), "节点要按这个顺序连接：facts → limits → grounds", "connected in this order"),
    "review left out": (lambda g: g["nodes"].pop(4), "没有节点 review", "there is no node review"),
    "a renamed node": (lambda g: g["nodes"][4].update(id="reviews"), "没有节点 review，是不是 reviews？", "is it reviews?"),
    "a second node": (lambda g: g["nodes"].append(copy.deepcopy(g["nodes"][4])), "不止一个节点 review", "several node review"),
    "a node of another kind": (lambda g: g["nodes"][4].update(type="functionNode"), "节点 review 应是 decisionTableNode", "of type decisionTableNode"),
    "nodes that are no list": (lambda g: g.update(nodes={}), "不是决策文件", "no decision file"),
    "a description that is no text": (lambda g: node(g, "review")["rules"][0].update(_description=7), "规则引擎读不了这个文件", "the engine cannot read"),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_a_slip_of_the_pen_is_found_and_told_in_both_languages(what: str) -> None:
    slip, chinese, english = BROKEN[what]
    content = graph()
    slip(content)
    told = "\n".join(map(str, faults(content)))
    assert chinese in told
    assert english in told


def test_the_file_of_the_house_is_without_a_fault() -> None:
    proof = prove(read(settings.rules_file()))
    assert (proof.rows, proof.limits) == (
        {"grounds": 5, "entitlement": 35, "review": 4},
        AfterSalesPolicy.load().limits,
    )
    assert proof.combinations > 100_000
    assert proof.trials > 300


def test_everything_is_told_at_once() -> None:
    content = graph()
    for slip in (
        entitlement(6, "in_parcel_lost", '"true"'),
        entitlement(25, "out_freight_payer", '"seller"'),
        row_again("entitlement", 28, 30),
        cell("grounds", 1, "in_reason", '"qualty"'),
        limit(5, value="six"),
        setting("review", hitPolicy="collect"),
    ):
        slip(content)
    found = [(one.table, one.row, one.column) for one in faults(content)]
    assert set(found) >= {
        ("entitlement", 6, "parcel_lost"),
        ("entitlement", 25, "freight_payer"),
        ("entitlement", 30, ""),
        ("grounds", 1, "reason"),
        ("limits", 6, "value"),
        ("review", 0, ""),
    }


HARMLESS: dict[str, Slip] = {
    "other numbers": limit(0, value="30"),
    "a number of its own in a row": entitlement(22, "in_days_since_delivery", "<= 5"),
    "an interval": entitlement(34, "in_days_since_delivery", "[0..7]"),
    "words in single quotes": entitlement(28, "in_trade", "'beauty'"),
    "words the other way round": entitlement(3, "in_order_status", '"presale", "paid"'),
    "every other word": entitlement(28, "in_trade", 'not in ["digital", "appliance", "clothing", "food", "course"]'),
    "spaces": entitlement(28, "in_kind", "  "),
    "a cell that was never written": lambda g: node(g, "entitlement")["rules"][27].pop("in_kind"),
    "an empty cell of a column that is gone": lambda g: node(g, "entitlement")["rules"][5].update(in_gone=""),
    "no column for the freight, as in files of before": lambda g: (
        node(g, "entitlement")["outputs"].remove(
            next(one for one in node(g, "entitlement")["outputs"] if one["field"] == "freight_back")
        )
        or [row.pop("out_freight_back") for row in node(g, "entitlement")["rules"]]
    ),
    "another title": column("entitlement", "inputs", 0, name="单子状态"),
    "a moved row": lambda g: node(g, "entitlement")["rules"].insert(0, node(g, "entitlement")["rules"].pop(1)),
    "a rule of one's own": lambda g: node(g, "entitlement")["rules"].insert(
        33,
        {
            **node(g, "entitlement")["rules"][33],
            "in_trade": '"clothing"',
            "out_rule": '"our_gift"',
            "out_freight_payer": '"shop"',
            "_id": "ours",
        },
    ),
    "a limit of one's own": lambda g: node(g, "limits")["expressions"].append(
        {"id": "x", "key": "limits.vip_days", "value": "10"}
    ),
    "a column that no row uses": lambda g: node(g, "entitlement")["inputs"].append(
        {"id": "in_amount", "name": "金额", "field": "amount_cents"}
    ),
    "small sums are approved by themselves": lambda g: (
        node(g, "review")["rules"].append(
            {
                "_id": "small",
                "in_auto_approve": "",
                "in_order_status": '"delivered"',
                "in_order_cents": "< 2000",
                "in_tickets_last_90_days": "",
                "out_rule": '"small_sum"',
                "out_auto_approve": "false",
                "out_handling_days": "1",
                "in_ok": "true",
            }
        )
        or node(g, "review")["inputs"].append({"id": "in_ok", "name": "可办", "field": "allowed"})
    ),
}


@pytest.mark.parametrize("what", HARMLESS)
def test_an_honest_change_is_no_fault(what: str) -> None:
    content = graph()
    HARMLESS[what](content)
    assert faults(content) == []


# Any cell, changed at random


def trials() -> list[dict[str, Any]]:
    """Requests of every kind, on both sides of every limit."""
    dice = random.Random(7)  # noqa: S311
    days = [(None, None), *((day, day * 24.0 + more) for day in (0, 1, 2, 5, 7, 8, 15, 16, 40) for more in (0, 0.5))]
    found = []
    for _ in range(250):
        day, hours = dice.choice(days)
        facts: dict[str, Any] = {name: dice.choice(words) for name, words in WORDS.items()}
        facts |= {name: dice.random() < 0.4 for name in ("parcel_lost", "parcel_late", "fresh", "custom_made")}
        facts |= {"days_since_delivery": day, "hours_since_delivery": hours, "opened": dice.choice([None, True, False])}
        facts |= {"order_cents": dice.choice([1, 200_000, 200_001]), "tickets_last_90_days": dice.choice([0, 5, 6])}
        facts |= {"customer_cents": dice.choice([1, 500_001]), "rejected_before": dice.random() < 0.2}
        found.append(facts | {"amount_cents": 1})
    return found


WORDS = {
    "kind": ["return", "exchange", "refund"],
    "reason": ["dislike", "quality", "damaged", "missing_item", "late_delivery", "other"],
    "order_status": ["pending_payment", "paid", "presale", "shipped", *["delivered", "completed"] * 3, "cancelled"],
    "trade": ["beauty", "digital", "appliance", "clothing", "food", "course"],
}
TRIALS = trials()


def outcomes(content: Graph) -> list[Any]:
    decision = zen.ZenEngine().create_decision(zen.ZenDecisionContent(json.dumps(content, ensure_ascii=False)))
    wanted = ("rule", "allowed", "freight_payer", "auto_approve", "handling_days", "missing_facts")
    return [[found.get(name) for name in wanted] for found in (decision.evaluate(t)["result"] for t in TRIALS)]


COMPARED: dict[str, Callable[[float, float], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge}


def by_hand(content: Graph) -> list[Any]:
    """What the tables say as a person reads them: of the conditions that stand in the file and nothing else."""
    limits = {one["key"]: int(one["value"]) for one in node(content, "limits")["expressions"]}

    def fits(condition: str, value: Any) -> bool:
        condition = condition.strip()
        sign, _, number = condition.partition(" ")
        if sign in COMPARED and number:
            return value is not None and COMPARED[sign](value, limits.get(number) or float(number))
        try:
            return any(
                value is one if isinstance(one, bool | None) else value == one for one in json.loads(f"[{condition}]")
            )
        except ValueError:
            return False

    found = []
    for facts in TRIALS:
        known = dict(facts)
        for step in ("grounds", "entitlement", "review"):
            table = node(content, step)
            for row in table["rules"]:
                asked = [(one["field"], row.get(one["id"], "")) for one in table["inputs"]]
                if all(not condition.strip() or fits(condition, known[name]) for name, condition in asked):
                    known |= {one["field"]: json.loads(row[one["id"]]) for one in table["outputs"]}
                    break
        wanted = ("rule", "allowed", "freight_payer", "auto_approve", "handling_days", "missing_facts")
        found.append([known.get(name) for name in wanted])
    return found


def cells() -> Iterator[tuple[str, int, str]]:
    for step in ("grounds", "entitlement", "review"):
        table = node(SHIPPED, step)
        for number in range(len(table["rules"])):
            for one in table["inputs"] + table["outputs"]:
                yield step, number, one["id"]


def corrupt(text: str, dice: random.Random) -> str:
    """A slip of the hand: a character lost, doubled, swapped or mistyped, quotes lost or added, another cell's text."""
    others = [
        "",
        "true",
        "false",
        "null",
        '"true"',
        "0",
        "1",
        '"7"',
        "７",
        "[7..0]",
        '"delivered"',
        '"customer"',
        "=",
        "]",
    ]
    if not text:
        return dice.choice(others)
    at = dice.randrange(len(text))
    return dice.choice(
        [
            text[:at] + text[at + 1 :],
            text[:at] + text[at] + text[at:],
            text[:at] + dice.choice('abe7 ",.[)（，”“<>=-') + text[at + 1 :],
            text[:at] + text[at + 1 : at + 2] + text[at] + text[at + 2 :],
            text.replace('"', ""),
            f'"{text}"',
            text.upper(),
            dice.choice(others),
        ]
    )


@pytest.mark.parametrize("seed", range(4))
def test_a_cell_changed_at_random_is_found_or_decides_what_it_says(seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311
    places = list(cells())
    passed = 0
    for _ in range(15):
        step, number, column = dice.choice(places)
        content = graph()
        row = node(content, step)["rules"][number]
        row[column] = corrupt(row.get(column, ""), dice)
        if not faults(content):
            assert outcomes(content) == by_hand(content), (step, number + 1, column, row[column])
            passed += 1
    assert passed < 8  # most of them are found


def places(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Ways to everything in the file."""
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


STRANGE: list[Any] = [
    None,
    0,
    -1,
    1.5,
    True,
    [],
    {},
    [None],
    "",
    "\0",
    '"',
    "[",
    "(" * 99,
    "limits.",
    "in [",
    "> 1e999",
    "9" * 400,
    "😀",
]


@pytest.mark.parametrize("seed", range(2))
def test_whatever_stands_in_the_file_gets_sentences(seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311
    everywhere = list(places(SHIPPED))
    tables = [path for path in everywhere if len(path) < 6]
    for _ in range(40):
        content = graph()
        *way, last = dice.choice(dice.choice([everywhere, tables]))
        inner: Any = content
        for key in way:
            inner = inner[key]
        inner[last] = dice.choice(STRANGE)
        try:
            prove(json.dumps(content, ensure_ascii=False))
        except BrokenRules as error:
            assert str(error)


# Files

GOOD = settings.rules_file().read_text(encoding="utf-8")

FILES: dict[str, tuple[bytes, str, str]] = {
    "empty": (b"", "文件是空的", "the file is empty"),
    "spaces": (b" \n\t ", "文件是空的", "the file is empty"),
    "GBK": (GOOD.encode("gbk"), "编码不是 UTF-8（可能是 GBK），请另存为 UTF-8", "save it as UTF-8"),
    "UTF-16": (GOOD.encode("utf-16"), "编码是 UTF-16", "UTF-16"),
    "UTF-16 without a mark": (GOOD.encode("utf-16-le"), "编码是 UTF-16", "UTF-16"),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "不是文本", "no text"),
    "half of it": (GOOD[:1000].encode(), "不是 JSON", "not JSON near line"),
    "trailing comma": (GOOD.replace('"value": "7"', '"value": "7",', 1).encode(), "第 32 行第 11 个字符附近不是 JSON（多了一个逗号？）", "not JSON near line 32"),
    "comma missing": (GOOD.replace(',\n', '\n', 1).encode(), "第 3 行", "not JSON near line 3"),
    "curly quotes": (GOOD.replace('"nodes"', "“nodes”", 1).encode(), "不是 JSON", "not JSON"),
    "null": (b"null", "不是决策文件", "no decision file"),
    "a number": (b"7", "不是决策文件", "no decision file"),
    "a list": (b"[1, 2]", "不是决策文件", "no decision file"),
    "NaN": (b'{"nodes": NaN}', "NaN 不是数字", "NaN is no number"),
    "a key twice": (GOOD.replace('"id": "facts",', '"id": "facts", "id": "x",', 1).encode(), "“id” 在同一处写了两次", "stands twice"),
    "very deep": (b"[" * 200_000, "套得太深", "nested too deeply"),
    "very large": (b" " * 3_000_000, "文件太大", "too large"),
    "half a character": (GOOD.replace("申请", "\\ud83d", 1).encode(), "半个", "half a character"),
    "YAML": (b"nodes:\n  - id: facts\n", "不是 JSON", "not JSON"),
}  # fmt: skip


@pytest.mark.parametrize("what", FILES)
def test_a_file_that_cannot_be_read_gets_a_sentence(what: str, tmp_path: Path) -> None:
    content, chinese, english = FILES[what]
    file = tmp_path / "after_sales.json"
    file.write_bytes(content)
    with pytest.raises(BrokenRules) as caught:
        AfterSalesPolicy.load(file)
    assert str(caught.value).startswith("after_sales.json: ")
    assert chinese in str(caught.value)
    assert english in str(caught.value)


def test_what_is_no_file_gets_a_sentence(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "secret.json").write_text(GOOD, encoding="utf-8")
    (tmp_path / "loop").symlink_to("loop")
    for path, chinese in {
        tmp_path: "这是文件夹",
        tmp_path / "missing.json": "没有这个文件",
        tmp_path / "no" / "such" / "folder.json": "没有这个文件",
        tmp_path / "pipe": "这不是普通文件",
        tmp_path / "loop": "文件打不开",
        tmp_path / "secret.json" / "x": "文件打不开",
        Path("a\0b"): "没有这个文件",
    }.items():
        with pytest.raises(BrokenRules, match=chinese):
            AfterSalesPolicy.load(path)


def test_a_file_that_may_not_be_read_gets_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "after_sales.json"
    file.write_text(GOOD, encoding="utf-8")
    file.chmod(0)
    command = [*UNPRIVILEGED, sys.executable, "-m", "mall_adapter", "rules-check", str(file)]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    said = checked.stdout + checked.stderr
    assert (checked.returncode, "文件打不开" in said, "Traceback" in said) == (1, True, False), said


@pytest.mark.parametrize("spelling", ["utf-8-sig", "utf-8"])
def test_notepad_may_leave_its_mark_and_windows_its_line_ends(spelling: str, tmp_path: Path) -> None:
    file = tmp_path / "after_sales.json"
    file.write_bytes(GOOD.replace("\n", "\r\n").encode(spelling))
    assert AfterSalesPolicy.load(file).limits["no_reason_days"] == 7
