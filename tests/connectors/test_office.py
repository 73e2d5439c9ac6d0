"""The back office as its page calls it, and as somebody who should not be there does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from connectors.dashboard.office import CHOICES_FILE, read_choices
from mall_adapter.values import TicketStatus
from tests.connectors.conftest import Gateway
from tests.connectors.shop import LIPSTICK, SHOES, Shop
from tests.connectors.test_dashboard import SIGN_IN, Operator, token

OFFICE = "/dashboard/api/office"


@pytest.fixture
def sign_in(gateway: Gateway) -> Iterator[Callable[[str], Operator]]:
    clients = []

    def sign_in(name: str) -> Operator:
        client = Operator(base_url=gateway.url, trust_env=False)
        clients.append(client)
        assert client.post(SIGN_IN, json={"token": token(gateway), "name": name}).status_code == 204
        client.csrf = client.get(SIGN_IN).json()["csrf"]
        return client

    yield sign_in
    for client in clients:
        client.close()


@pytest.fixture
def operator(sign_in: Callable[[str], Operator]) -> Operator:
    return sign_in("小王")


def step(operator: Operator, ticket_id: str, to: str, note: str = "", key: str | None = None) -> httpx.Response:
    body = {"to": to, "note": note, "key": key or uuid4().hex}
    return operator.post_as_page(f"office/tickets/{ticket_id}/steps", body)


def told(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def found(operator: Operator, **wanted: Any) -> list[str]:
    answer = operator.get(f"{OFFICE}/tickets", params=wanted)
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["items"]]


def test_without_signing_in_there_is_nothing(gateway: Gateway, shop: Shop) -> None:
    ticket = shop.complains()
    with httpx.Client(base_url=gateway.url, trust_env=False) as stranger:
        assert "口令" in stranger.get("/dashboard/office").text
        for path in ("", "/waiting", "/tickets", f"/tickets/{ticket.id}", "/orders", f"/orders/{ticket.order_id}"):
            assert told(stranger.get(OFFICE + path)) == (401, "signed_out"), path
        body = {"to": "approved", "key": "k", "carrier": "顺丰速运", "tracking_number": "SF100001"}
        for path in (f"/tickets/{ticket.id}/steps", f"/orders/{ticket.order_id}/ship"):
            assert told(stranger.post(OFFICE + path, json=body)) == (401, "signed_out"), path
    assert shop.ticket(ticket.id).status is TicketStatus.OPEN


def test_a_step_comes_from_the_page_or_not_at_all(operator: Operator, shop: Shop) -> None:
    ticket = shop.complains()
    path, body = f"office/tickets/{ticket.id}/steps", {"to": "approved", "key": "k"}
    assert told(operator.post_as_page(path, body, **{"X-CSRF-Token": "guess"})) == (403, "forged")
    assert told(operator.post_as_page(path, body, Origin="https://evil.example")) == (403, "foreign_page")
    assert shop.ticket(ticket.id).status is TicketStatus.OPEN


def test_goods_come_back_and_the_money_goes(operator: Operator, shop: Shop) -> None:
    ticket = shop.returns("颜色不喜欢")
    assert ticket.id in found(operator, queue="goods")
    case = operator.get(f"{OFFICE}/tickets/{ticket.id}").json()
    assert (case["note"], case["customer"]["name"], case["rule"]) == ("颜色不喜欢", "周琳", "七天无理由退换,顾客付运费")
    assert case["steps"] == ["goods_received", "cancelled"]
    assert step(operator, ticket.id, "goods_received", "包装完好").json()["status"] == "goods_received"
    assert ticket.id in found(operator, queue="settlement")
    assert step(operator, ticket.id, "refunded").json()["status"] == "refunded"
    assert ticket.id not in found(operator, queue="settlement")
    assert ticket.id in found(operator, text=ticket.id.lower())
    seen = shop.ticket(ticket.id)
    assert [event.status for event in seen.history][-2:] == [TicketStatus.GOODS_RECEIVED, TicketStatus.REFUNDED]
    assert seen.history[-1].actor == "operator"


def test_a_click_counts_once_however_often_it_arrives(operator: Operator, shop: Shop) -> None:
    ticket = shop.complains()
    answers = [step(operator, ticket.id, "approved", key="click-1") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert answers[0].json() == answers[2].json()
    assert [event.status for event in shop.ticket(ticket.id).history].count(TicketStatus.APPROVED) == 1
    assert told(step(operator, ticket.id, "rejected", "不行", key="click-1")) == (409, "key_used")
    assert shop.ticket(ticket.id).status is TicketStatus.APPROVED


def test_of_two_operators_one_wins_and_the_other_is_told(sign_in: Callable[[str], Operator], shop: Shop) -> None:
    wang, li = sign_in("小王"), sign_in("小李")
    ticket = shop.complains()
    assert step(wang, ticket.id, "approved", key="same").status_code == 200
    assert told(step(li, ticket.id, "rejected", "不行", key="same-too")) == (409, "meanwhile")
    assert told(step(li, ticket.id, "approved")) == (409, "meanwhile")
    assert [event.status for event in shop.ticket(ticket.id).history].count(TicketStatus.APPROVED) == 1


def test_a_rejection_needs_words_that_the_customer_reads(operator: Operator, shop: Shop) -> None:
    ticket = shop.complains()
    for blank in ("", "   ", "\n"):
        assert told(step(operator, ticket.id, "rejected", blank)) == (422, "reason_wanted")
    assert step(operator, ticket.id, "rejected", "照片里看不出裂痕").status_code == 200
    assert shop.ticket(ticket.id).history[-1].note == "照片里看不出裂痕"


@pytest.mark.parametrize("note", ["\u202e倒着写", "半个\ud83d", "\x00", "长" * 201])
def test_a_note_is_readable_and_short(operator: Operator, shop: Shop, note: str) -> None:
    ticket = shop.complains()
    escaped = json.dumps({"to": "approved", "note": note, "key": "k"})  # half a surrogate pair travels as an escape
    headers = {"X-CSRF-Token": operator.csrf, "Content-Type": "application/json"}
    assert operator.post(f"{OFFICE}/tickets/{ticket.id}/steps", content=escaped, headers=headers).status_code == 422
    assert shop.ticket(ticket.id).status is TicketStatus.OPEN


def test_an_order_is_shipped_once(operator: Operator, shop: Shop) -> None:
    order = shop.order({SHOES: 1, LIPSTICK: 1})
    path, body = (
        f"office/orders/{order}/ship",
        {"carrier": "顺丰速运", "tracking_number": " ｓｆ 100 2003 ", "key": "k1"},
    )
    for wrong in ({"tracking_number": "12"}, {"tracking_number": "单号是多少"}, {"carrier": ""}, {"key": ""}):
        assert operator.post_as_page(path, body | wrong).status_code == 422, wrong
    assert operator.post_as_page(path, body).json()["status"] == "shipped"
    assert operator.post_as_page(path, body).status_code == 200  # the same click
    assert told(operator.post_as_page(path, body | {"key": "k2"})) == (409, "meanwhile")
    case = operator.get(f"{OFFICE}/orders/{order}").json()
    assert [parcel["tracking_number"] for parcel in case["order"]["shipments"]] == ["SF1002003"]
    assert case["delivery"]["address"] == "上海市静安区延平路 1 号"


def test_lists_name_nobody(operator: Operator, shop: Shop) -> None:
    shop.complains()
    for path in ("/tickets", "/orders", "/waiting", ""):
        answer = operator.get(OFFICE + path)
        assert answer.headers["cache-control"] == "no-store"
        assert not any(word in answer.text for word in ("周琳", "13800005678", "鞋底裂了", "延平路")), path


def test_what_waits_is_counted(operator: Operator, shop: Shop) -> None:
    before = operator.get(f"{OFFICE}/waiting").json()
    ticket, _ = shop.complains(), shop.order()
    after = operator.get(f"{OFFICE}/waiting").json()
    assert after["tickets"]["approval"] == before["tickets"]["approval"] + 1
    assert after["orders"]["to_ship"] == before["orders"]["to_ship"] + 1
    assert ticket.id in found(operator, queue="approval", kind="refund", reason="damaged", supplier="S1")
    assert ticket.id not in found(operator, queue="approval", supplier="nobody")


def test_orders_page_by_page(operator: Operator, shop: Shop) -> None:
    wanted, pages, following = shop.old_orders(120), [], ""
    while following is not None:
        page = operator.get(
            f"{OFFICE}/orders?text={wanted[0][:9]}&newest=true{following and '&cursor='}{following}"
        ).json()
        pages.append([each["id"] for each in page["items"]])
        following = page["next"]
    assert pages == [wanted[:50], wanted[50:100], wanted[100:]]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/tickets/RT2603119999", 404, "not_found"),
        ("/orders/ORD99999999", 404, "not_found"),
        ("/tickets?cursor=xyz", 422, "no_such_page"),
        ("/orders?cursor=W10=", 422, "no_such_page"),
    ],
)
def test_what_there_is_not(operator: Operator, path: str, status: int, code: str) -> None:
    assert told(operator.get(OFFICE + path)) == (status, code)


@pytest.mark.parametrize(
    "path",
    ["/tickets/x", "/tickets/..%2f..", "/tickets?queue=all", "/orders?days=-1", "/orders?days=x", "/tickets?kind=1"],
)
def test_what_cannot_be_asked(operator: Operator, path: str) -> None:
    assert operator.get(OFFICE + path).status_code in (404, 422)


# ---- what operators pick from ----


def test_the_choices_that_come_with_the_house() -> None:
    choices, trouble = read_choices()
    assert trouble == ""
    assert choices.reasons[TicketStatus.REJECTED]
    assert choices.carriers
    assert CHOICES_FILE.is_file()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "reasons: [",
        "reasons: {refused: [不行]}\ncarriers: []",
        "reasons: {}\ncarriers: 顺丰",
        "reasons: {rejected: ['']}\ncarriers: []",
    ],
)
def test_choices_that_cannot_be_read_are_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "office.yml"
    file.write_text(text, "utf-8")
    choices, trouble = read_choices(file)
    assert (choices.reasons, choices.carriers) == ({}, [])
    assert "office.yml" in trouble
    assert read_choices(tmp_path / "nowhere.yml")[1]


# ---- two customers who are one ----


def test_customers_are_merged_by_a_page_of_an_operator_alone(operator: Operator, gateway: Gateway, shop: Shop) -> None:
    kept, gone = shop.customer(), shop.customer()
    path = f"office/customers/{kept}/mergers/{gone}"
    with httpx.Client(base_url=gateway.url, trust_env=False) as stranger:
        assert stranger.get(f"/dashboard/api/{path}").status_code == 401
        assert stranger.post(f"/dashboard/api/{path}", json={"key": uuid4().hex}).status_code == 401
    assert operator.post(f"/dashboard/api/{path}", json={"key": uuid4().hex}).status_code == 403  # of another page
    shown = operator.get(f"/dashboard/api/{path}")
    assert (shown.status_code, shown.json()["done"], shown.json()["obstacle"]) == (200, False, None)
    key = uuid4().hex
    for _ in range(2):
        merged = operator.post_as_page(path, {"key": key})
        assert (merged.status_code, merged.json()["done"]) == (200, True)
    back = operator.post_as_page(f"office/customers/{gone}/mergers/{kept}", {"key": uuid4().hex})
    assert told(back) == (409, "not_mergeable")
