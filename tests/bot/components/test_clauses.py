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
    "名片谁转发了": ("card_report", 0.99),
    "谁最有意向": ("my_leads", 0.99),
    "还剩多少": ("ask_stock", 0.95),
    "这个多少钱": ("ask_price", 0.95),
    "转人工": ("human_handoff", 1.0),
    "i want to return it": ("request_return", 0.9),
    "where is it": ("track_parcel", 0.9),
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
        ("名片谁转发了 谁最有意向", []),  # of one family, unless somebody says that there are two
        ("名片谁转发了 另外谁最有意向", ["名片谁转发了", "谁最有意向"]),
        ("这个多少钱，对了还剩多少", []),  # one answer says both
        ("我要退货，转人工", []),
        ("我要退货，还有转人工", ["我要退货", "转人工"]),
        ("where is it and i want to return it", ["where is it", "i want to return it"]),
        ("账号里还有什么优惠券", []),
        ("我要退货", []),
        ("，，，", []),
    ],
)
async def test_requests(text: str, requests: list[str]) -> None:
    assert list(await requests_of(text, read)) == requests


def test_a_connector_marks_the_clause_after_it() -> None:
    found = [(clause.text, clause.connected) for clause in clauses_of("你好。我要退货，对了运费谁出")]
    assert found == [("你好", False), ("我要退货", False), ("运费谁出", True)]
