"""What is wrong with a rules file, told in Chinese and English with its place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

NAMES = {
    "return": "退货退款",
    "exchange": "换货",
    "refund": "只退款",
    "dislike": "不喜欢",
    "wrong_size": "尺码不合适",
    "changed_mind": "不想要了",
    "quality": "质量问题",
    "damaged": "收到破损",
    "wrong_item": "发错货",
    "missing_item": "少件漏发",
    "not_as_described": "与描述不符",
    "late_delivery": "太久没到",
    "other": "其他",
    "pending_payment": "待付款",
    "paid": "待发货",
    "presale": "预售",
    "shipped": "运输中",
    "delivered": "已签收",
    "completed": "已完成",
    "cancelled": "已取消",
    "beauty": "美妆",
    "digital": "数码",
    "appliance": "家电",
    "clothing": "服饰",
    "food": "食品",
    "course": "课程",
    "customer": "顾客",
    "shop": "商家",
    "nobody": "无运费",
    "worry": "担心",
    "anger": "生气",
    "urge": "催促",
    "unasked": "主动告知",
    "waiting": "等待中",
    "late": "已超时",
    "lost": "丢件",
    "coupon": "优惠券",
    "freight": "退货免运费",
    "faster": "加急",
    "person": "人工",
    "none": "不提供",
}
"""What operators call the words of the file."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. ``table`` is the id of a node, ``row`` counts from 1; 0 and "" where there is none."""

    chinese: str
    english: str
    table: str = ""
    title: str = ""
    row: int = 0
    name: str = ""
    column: str = ""
    heading: str = ""

    def __str__(self) -> str:
        named = f"（{self.name}）" if self.name else ""
        where = f"表“{self.title or self.table}”" if self.table else ""
        where += f"第 {self.row} 行{named}" if self.row else ""
        where += f"“{self.heading or self.column}”列" if self.column else ""
        place = ", ".join(
            filter(
                None,
                (
                    self.table,
                    f"row {self.row}" + (f" ({self.name})" if self.name else "") if self.row else "",
                    self.column,
                ),
            )
        )
        return f"{where}：{self.chinese} / {place}: {self.english}" if where else f"{self.chinese} / {self.english}"


class BrokenRules(ValueError):
    """The rules file cannot be trusted; ``faults`` names everything that is wrong, :func:`str` a line for each."""

    def __init__(self, file: str, faults: Sequence[Fault]) -> None:
        self.file, self.faults = file, tuple(faults)
        lines = [f"{file}: {fault}" for fault in faults]
        if len(faults) > 1:
            lines.append(
                f"{file}: {len(faults)} 处错误，运行 make rules-check 查看 / {len(faults)} faults: see make rules-check"
            )
        super().__init__("\n".join(lines))


class Bad(Exception):
    """What is wrong, in Chinese and in English."""

    def __init__(self, chinese: str, english: str) -> None:
        super().__init__(chinese, english)
        self.chinese, self.english = chinese, english


def meant(word: str, known: Iterable[str]) -> tuple[str, str]:
    """ "Did you mean", or what there is."""
    known = sorted(set(known))
    by_name = [one for one in known if NAMES.get(one) == word]
    if close := by_name or get_close_matches(word.strip().lower(), known, 1, 0.6):
        return f"，是不是 {close[0]}？", f"; did you mean {close[0]}?"
    if not known:
        return "", ""
    told = "、".join(f"{one}（{NAMES[one]}）" if one in NAMES else one for one in known)
    return f"，可以写：{told}", f"; known are {', '.join(known)}"
