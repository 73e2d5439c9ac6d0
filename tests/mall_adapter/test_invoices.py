"""Asking for an invoice."""

from __future__ import annotations

import asyncio

import pytest

from mall_adapter import SqlMall
from mall_adapter.errors import InvalidInvoice, InvalidTransition, InvoiceExists, OwnershipRequired
from mall_adapter.tax_numbers import is_tax_number
from mall_adapter.values import InvoiceKind, InvoiceRequest, InvoiceStatus

PERSONAL = InvoiceRequest("ORD10001", InvoiceKind.PERSONAL, "个人")
COMPANY = InvoiceRequest("ORD10001", InvoiceKind.COMPANY, "杭州云上科技有限公司", "91350100M000100Y43", "a@example.com")


@pytest.mark.parametrize("request_", [PERSONAL, COMPANY])
async def test_an_invoice_holds_what_was_asked_for(mall: SqlMall, request_: InvoiceRequest) -> None:
    invoice = await mall.request_invoice("web:zhou", request_, "k1")
    assert invoice.id.startswith("FP")
    assert (invoice.kind, invoice.title, invoice.tax_number) == (request_.kind, request_.title, request_.tax_number)
    assert (invoice.amount_cents, invoice.status) == (39900, InvoiceStatus.REQUESTED)
    assert await mall.invoice_of("web:zhou", "ORD10001") == invoice
    assert await mall.request_invoice("web:zhou", request_, "k1") == invoice


async def test_an_order_has_one_invoice(mall: SqlMall) -> None:
    first = await mall.request_invoice("web:zhou", PERSONAL, "k1")
    with pytest.raises(InvoiceExists) as exists:
        await mall.request_invoice("web:zhou", COMPANY, "k2")
    assert exists.value.invoice == first


async def test_of_two_at_once_one_is_made(mall: SqlMall) -> None:
    asked = [mall.request_invoice("web:zhou", PERSONAL, f"k{n}") for n in range(4)]
    made = await asyncio.gather(*asked, return_exceptions=True)
    assert sorted(isinstance(one, InvoiceExists) for one in made) == [False, True, True, True]


async def test_a_cancelled_order_has_none(mall: SqlMall) -> None:
    await mall.cancel_order("web:zhou", "ORD10003", "k1")
    with pytest.raises(InvalidTransition):
        await mall.request_invoice("web:zhou", InvoiceRequest("ORD10003", InvoiceKind.PERSONAL, "个人"), "k2")


async def test_only_the_owner_sees_and_asks(mall: SqlMall) -> None:
    await mall.request_invoice("web:zhou", PERSONAL, "k1")
    for attempt in (mall.invoice_of("web:he", "ORD10001"), mall.request_invoice("web:he", PERSONAL, "k2")):
        with pytest.raises(OwnershipRequired):
            await attempt


@pytest.mark.parametrize(
    ("title", "number", "email", "field"),
    [
        ("", "91350100M000100Y43", None, "title"),
        ("某某公司", None, None, "tax_number"),
        ("某某公司", "91350100M000100Y44", None, "tax_number"),
        ("某某公司", "91350100M000100Y43", "not an address", "email"),
    ],
)
async def test_what_cannot_be_right_is_refused(
    mall: SqlMall, title: str, number: str | None, email: str | None, field: str
) -> None:
    request = InvoiceRequest("ORD10001", InvoiceKind.COMPANY, title, number, email)
    with pytest.raises(InvalidInvoice) as refused:
        await mall.request_invoice("web:zhou", request, "k1")
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("number", "valid"),
    [
        ("91350100M000100Y43", True),  # the example of GB 32100-2015
        ("91350100M000100Y42", False),
        ("91350100I000100Y43", False),  # no letter I
        ("440301999999999", True),
        ("4403019999", False),
    ],
)
def test_tax_numbers(number: str, valid: bool) -> None:
    assert is_tax_number(number) is valid
