"""Clauses, and which of them are requests of their own, with a reader that knows the answers."""

from __future__ import annotations

import pytest

from bot.components.clauses import clauses_of, requests_of

READ = {
    "退货运费谁出": ("ask_policy", 0.97),
    "我那个快递到哪了": ("track_parcel", 0.96),
    "我要退货": ("request_return", 0.99),
    "帮我开个发票": ("request_invoice", 0.99),
    "鞋子开胶了": ("report_problem", 0.95),
    "没发货呢": ("order_status", 0.9),
    "我要退款": ("request_refund", 0.95),
    "尾号5678": ("inform", 0.9),
    "谢谢": ("thank", 0.99),
    "把地址也改了": ("change_address", 0.6),
}


async def read(clause: str) -> tuple[str, float]:
    return READ.get(clause, ("nlu_fallback", 0.2))


@pytest.mark.parametrize(
    ("text", "requests"),
    [
        ("退货运费谁出 另外我那个快递到哪了", ["退货运费谁出", "我那个快递到哪了"]),
        ("我要退货，还有帮我开个发票", ["我要退货", "帮我开个发票"]),
        ("我要退货，尾号5678，谢谢，帮我开个发票", ["我要退货 尾号5678 谢谢", "帮我开个发票"]),
        ("鞋子开胶了，我要退货", []),  # a story and its wish
        ("没发货呢，我要退款", []),
        ("我要退货，我要退款", []),  # of one family
        ("我要退货，把地址也改了", []),  # not sure enough without a connector
        ("我要退货，另外把地址也改了", ["我要退货", "把地址也改了"]),
        ("我要退货", []),
        ("，，，", []),
    ],
)
async def test_requests(text: str, requests: list[str]) -> None:
    assert list(await requests_of(text, read)) == requests


def test_a_connector_marks_the_clause_after_it() -> None:
    found = [(clause.text, clause.connected) for clause in clauses_of("你好。我要退货，对了运费谁出")]
    assert found == [("你好", False), ("我要退货", False), ("运费谁出", True)]
