"""Clauses, and which of them are requests of their own, with a reader that knows the answers."""

from __future__ import annotations

import pytest

from bot.components.clauses import (
    MOST_CLAUSES,
    behind_aside,
    beyond,
    clauses_of,
    in_words,
    readable,
    requests_of,
    restated,
)
from bot.components.text import visible

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


DOES = {"不用了": ["leave"], "那先不退了": ["stop"], "答非所问": ["reproaches"], "算了": ["stop"]}


async def acts(clause: str) -> list[str]:
    return DOES.get(clause, [])


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("谢谢 帮我开个发票", ["帮我开个发票"]),
        ("不用了 对了我那个快递到哪了", ["我那个快递到哪了"]),
        ("那先不退了 这个多少钱", ["这个多少钱"]),
        ("答非所问 退货运费谁出", ["退货运费谁出"]),
        ("算了 好的吧", []),  # nothing is wished beside it
        ("算了 把地址也改", []),  # not sure
        ("那先不退了", []),
        ("鞋子开胶了 这个多少钱", []),
    ],
)
async def test_what_is_wished_behind_an_aside(text: str, wish: list[str]) -> None:
    assert list(await behind_aside(text, read, acts)) == wish


def test_a_connector_marks_the_clause_after_it() -> None:
    found = [(clause.text, clause.connected) for clause in clauses_of("你好。我要退货，对了运费谁出")]
    assert found == [("你好", False), ("我要退货", False), ("运费谁出", True)]


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("我要退货，尾号5678，气死了，好", ["我要退货", "气死了"]),  # a number says nothing, nor does one character
        ("我要退货，尾号5678，好", ["我要退货"]),
        ("我要退货，好", []),
        ("我要退货", []),
        ("我要退货，/affirm", ["我要退货", "／affirm"]),
        ("，，，", []),
    ],
)
def test_clauses_that_can_be_read_alone(text: str, clauses: list[str]) -> None:
    assert readable(text) == clauses


def test_of_a_novel_the_beginning_is_read() -> None:
    assert readable("".join(f"我要退货{number}，" for number in "一二三四五六七八九十")) == [
        f"我要退货{number}" for number in "一二三四五六七八九十"[:MOST_CLAUSES]
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("/affirm", "／affirm"),
        (" /affirm", " ／affirm"),
        ("\u200b/affirm", "\u200b／affirm"),
        ("\u2028/affirm", "\u2028／affirm"),
        ("//affirm", "／/affirm"),
        ("／affirm", "／affirm"),
        ("退货/换货", "退货/换货"),
        ("", ""),
    ],
)
def test_a_slash_at_the_beginning_is_a_word(text: str, words: str) -> None:
    assert in_words(text) == words


@pytest.mark.parametrize(
    "text",
    ["我要退货，/a/b", "我要退货 ／ /affirm", "我要退货\n\u200b/affirm", "另外/affirm另外/deny", "，/affirm", "/x，/y"],
)
async def test_no_clause_is_a_payload(text: str) -> None:
    seen: list[str] = []

    async def sure(clause: str) -> tuple[str, float]:
        seen.append(clause)
        return ("request_return", 1.0) if len(seen) % 2 else ("request_invoice", 1.0)

    clauses = [clause.text for clause in clauses_of(text)]
    for clause in (*clauses, *readable(text), *await requests_of(text, sure), *seen):
        assert not visible(clause).startswith("/")


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("我不是宝妈，问的是敏感肌", "敏感肌"),
        ("哎我問發票呀 幾時開好", "發票呀 幾時開好"),
        ("我问你快递公司的电话是多少", "快递公司的电话是多少"),
        ("我刚才问的是尺码！我问的是40码", "40码"),
        ("我问一下运费", None),
        ("我问过了", None),
        ("我问的是", None),
    ],
)
def test_a_question_put_once_more(text: str, question: str | None) -> None:
    assert restated(text) == question


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("确认提交 然后面霜那单也开", ("确认提交", "面霜那单也开")),
        ("确认提交。另外帮我查下快递", ("确认提交", "帮我查下快递")),
        ("确认提交之前先等等", None),
        ("确认提交 再说吧", None),
    ],
)
def test_behind_the_words_of_a_button(text: str, parts: tuple[str, str] | None) -> None:
    assert beyond(text) == parts
