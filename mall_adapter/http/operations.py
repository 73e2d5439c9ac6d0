"""Which method of a port is which HTTP request: one line for each, the rest follows from the method's signature.

Of a method's arguments ``sender``, ``idempotency_key``, ``if_version`` and ``actor`` go in headers, those in the path's
braces in the path, all others in the query of a GET and in the JSON body of anything else. A body that would hold one
value alone is that value. A method that answers with a sequence answers a :class:`mall_adapter.values.Page`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, get_args, get_origin, get_type_hints
from urllib.parse import quote, unquote

from pydantic import ConfigDict, TypeAdapter, create_model

from mall_adapter.clients import Scope
from mall_adapter.ports import BackOffice, CustomerMall
from mall_adapter.values import Page

SENDER, KEY, VERSION, ACTOR = "Mall-Sender", "Idempotency-Key", "If-Match", "Mall-Actor"
"""Headers. A sender is percent-encoded UTF-8, a version is quoted as an ETag is."""

PAGE = 500
"""Items of one page of a long list."""

NO_ID = "?"
"""What is asked for in place of what can be no id, whatever was typed: nothing has it."""

ID = r"^[^/.\x00-\x1f\x7f][^/\x00-\x1f\x7f]{0,63}$"


class Place(StrEnum):
    PATH = "path"
    SENDER = "sender"
    KEY = "key"
    VERSION = "version"
    ACTOR = "actor"
    QUERY = "query"
    BODY = "body"


_HEADERS = {
    "sender": Place.SENDER,
    "idempotency_key": Place.KEY,
    "if_version": Place.VERSION,
    "actor": Place.ACTOR,
}


@dataclass(frozen=True, slots=True)
class Argument:
    name: str
    kind: Any
    default: Any  # inspect.Parameter.empty: it has to be given
    place: Place


@dataclass(frozen=True)
class Operation:
    """``pages``: the port gives a long list at once, and HTTP gives it a page at a time."""

    port: type
    name: str
    method: str
    path: str
    scope: Scope
    status: int = 200
    pages: bool = False

    @property
    def id(self) -> str:
        return f"{'office_' if self.port is BackOffice else ''}{self.name}"

    @cached_property
    def signature(self) -> inspect.Signature:
        return inspect.signature(getattr(self.port, self.name))

    @cached_property
    def summary(self) -> str:
        return inspect.getdoc(getattr(self.port, self.name)) or ""

    @cached_property
    def arguments(self) -> tuple[Argument, ...]:
        hints = get_type_hints(getattr(self.port, self.name))
        return tuple(
            Argument(name, hints[name], parameter.default, self._place(name))
            for name, parameter in self.signature.parameters.items()
            if name != "self"
        )

    def _place(self, name: str) -> Place:
        if f"{{{name}}}" in self.path:
            return Place.PATH
        return _HEADERS.get(name) or (Place.QUERY if self.method == "GET" else Place.BODY)

    def at(self, place: Place) -> tuple[Argument, ...]:
        return tuple(one for one in self.arguments if one.place is place)

    @cached_property
    def repeatable(self) -> bool:
        """Whether asking again is harmless: it only reads, or carries a key."""
        return self.method == "GET" or self.scope.endswith(":read") or bool(self.at(Place.KEY))

    # ---- the body

    @cached_property
    def bare(self) -> bool:
        """The body is one value by itself."""
        parts = self.at(Place.BODY)
        return len(parts) == 1 and is_dataclass(parts[0].kind)

    @cached_property
    def body_type(self) -> Any:
        """None where there is no body."""
        parts = self.at(Place.BODY)
        if not parts:
            return None
        if self.bare:
            return parts[0].kind
        fields: dict[str, Any] = {
            one.name: (one.kind, ... if one.default is inspect.Parameter.empty else one.default) for one in parts
        }
        name = "".join(part.capitalize() for part in self.id.split("_"))
        return create_model(f"{name}Body", __config__=ConfigDict(extra="forbid"), **fields)

    @cached_property
    def body(self) -> TypeAdapter[Any] | None:
        return self.body_type and TypeAdapter(self.body_type)

    def write_body(self, arguments: Mapping[str, Any]) -> bytes | None:
        """What is at its default is left out: a mall that does not know it yet need not."""
        if self.body is None:
            return None
        told = {name: arguments[name] for name in (one.name for one in self.at(Place.BODY))}
        told |= {name: _id(value) for name, value in told.items() if name.endswith("_id") and isinstance(value, str)}
        value = next(iter(told.values())) if self.bare else self.body.validate_python(told)
        return self.body.dump_json(value, exclude_defaults=True)

    def read_body(self, content: str | bytes) -> dict[str, Any]:
        """The arguments. Raises pydantic's ValidationError: what is unknown is refused, for it was meant to count."""
        if self.body is None:
            return {}
        value = self.body.validate_json(content, strict=True, extra="forbid")
        parts = self.at(Place.BODY)
        return {parts[0].name: value} if self.bare else {one.name: getattr(value, one.name) for one in parts}

    # ---- the answer

    @cached_property
    def listed(self) -> bool:
        return get_origin(self._returns) is Sequence

    @cached_property
    def _returns(self) -> Any:
        return get_type_hints(getattr(self.port, self.name))["return"]

    @cached_property
    def answer(self) -> Any:
        """The type of what is sent back; NoneType where nothing is."""
        return Page[get_args(self._returns)[0]] if self.listed else self._returns  # type: ignore[misc]

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.answer)

    # ---- the path

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\{\w+\}", "[^/]+", self.path))

    def address(self, arguments: Mapping[str, Any]) -> str:
        return self.path.format_map({one.name: quote(_id(arguments[one.name]), safe="") for one in self.at(Place.PATH)})


def _id(told: str) -> str:
    return told if re.match(ID, told) else NO_ID


def to_header(value: str) -> str:
    """Any words, as a header can carry them."""
    return quote(value, safe="!#$&'()*+,/:;=?@[]~ ") if value.strip() == value else quote(value, safe="")


def from_header(value: str) -> str:
    return unquote(value)


def _customer(
    name: str, method: str, path: str, scope: Scope | None = None, status: int = 200, pages: bool = False
) -> Operation:
    default = Scope.CUSTOMER_READ if method == "GET" else Scope.CUSTOMER_WRITE
    return Operation(CustomerMall, name, method, path, scope or default, status, pages)


def _office(name: str, method: str, path: str, scope: Scope, status: int = 200) -> Operation:
    return Operation(BackOffice, name, method, path, scope, status)


OPERATIONS = (
    # for a customer, whoever they are
    _customer("customer_of", "GET", "/customer"),
    _customer("bind_with_proof", "POST", "/customer/binding"),
    _customer("unbind", "DELETE", "/customer/binding", status=204),
    _customer("make_binding_code", "POST", "/customer/binding-codes", status=201),
    _customer("whose_code", "POST", "/customer/proofs/code"),
    _customer("bind_with_code", "POST", "/customer/binding/code"),
    _customer("orders_of", "GET", "/customer/orders"),
    _customer("order", "GET", "/customer/orders/{order_id}"),
    _customer("prove_ownership", "POST", "/customer/proofs/phone-tail"),
    _customer("prove_phone", "POST", "/customer/proofs/phone"),
    _customer("proved", "GET", "/customer/orders/{order_id}/proof"),
    _customer("cancel_order", "POST", "/customer/orders/{order_id}/cancellation"),
    _customer("delivery_of", "GET", "/customer/orders/{order_id}/delivery"),
    _customer("change_delivery", "PATCH", "/customer/orders/{order_id}/delivery"),
    _customer("request_invoice", "POST", "/customer/invoices", status=201),
    _customer("price_drops", "GET", "/customer/orders/{order_id}/price-drops"),
    _customer("invoice_of", "GET", "/customer/orders/{order_id}/invoice"),
    _customer("assess", "POST", "/customer/ticket-assessments", Scope.CUSTOMER_READ),
    _customer("create_ticket", "POST", "/customer/tickets", status=201),
    _customer("tickets_of", "GET", "/customer/tickets"),
    _customer("ticket", "GET", "/customer/tickets/{ticket_id}"),
    _customer("cancel_ticket", "POST", "/customer/tickets/{ticket_id}/cancellation"),
    _customer("coupons_of", "GET", "/customer/coupons"),
    _customer("grant_coupon", "POST", "/customer/coupons", status=201),
    _customer("energy_of", "GET", "/customer/energy"),
    _customer("energy_history", "GET", "/customer/energy/entries"),
    _customer("settle_energy", "POST", "/customer/energy/settlements"),
    _customer("redeem_energy", "POST", "/customer/energy/redemptions", status=201),
    _customer("energy_carriers", "GET", "/customer/energy/carriers"),
    # goods, the same for everybody
    _customer("terms", "GET", "/terms", Scope.CATALOGUE_READ),
    _customer("catalogue", "GET", "/catalogue", Scope.CATALOGUE_READ, pages=True),
    _customer("products", "GET", "/products", Scope.CATALOGUE_READ),
    _customer("product", "GET", "/products/{product_id}", Scope.CATALOGUE_READ),
    # for those who work in the mall
    _office("bind", "PUT", "/customers/{customer_id}/account", Scope.CUSTOMER_WRITE, status=204),
    _office("merging", "GET", "/customers/{kept_id}/mergers/{gone_id}", Scope.CUSTOMER_READ),
    _office("merge_customers", "PUT", "/customers/{kept_id}/mergers/{gone_id}", Scope.CUSTOMER_WRITE),
    _office("place_order", "POST", "/orders", Scope.ORDERS_WRITE, status=201),
    _office("pay_order", "POST", "/orders/{order_id}/payment", Scope.ORDERS_WRITE),
    # what is there, and what it costs
    _office("stock", "GET", "/stock/{sku_id}", Scope.STOCK_READ),
    _office("sync_stock", "POST", "/warehouses/{warehouse_id}/stock", Scope.STOCK_WRITE),
    _office("count_stock", "PUT", "/warehouses/{warehouse_id}/stock/{sku_id}", Scope.STOCK_WRITE),
    _office("receive_stock", "POST", "/warehouses/{warehouse_id}/stock/{sku_id}/receipts", Scope.STOCK_WRITE),
    _office("adjust_stock", "POST", "/warehouses/{warehouse_id}/stock/{sku_id}/adjustments", Scope.STOCK_WRITE),
    _office("prices", "GET", "/prices/{sku_id}", Scope.PRICES_READ),
    _office("set_price", "POST", "/prices", Scope.PRICES_WRITE, status=201),
    # parcels and after-sales
    _office("ship", "POST", "/orders/{order_id}/shipments", Scope.ORDERS_WRITE, status=201),
    _office("parcel_moved", "POST", "/shipments/{shipment_id}/steps", Scope.ORDERS_WRITE),
    _office("presale_moved", "POST", "/products/{product_id}/presale", Scope.ORDERS_WRITE),
    _office("advance_ticket", "POST", "/tickets/{ticket_id}/steps", Scope.TICKETS_WRITE),
    _office("receive_goods", "POST", "/tickets/{ticket_id}/receipts", Scope.TICKETS_WRITE),
    _office("refund", "POST", "/tickets/{ticket_id}/refunds", Scope.TICKETS_WRITE),
    # what there is to do; what is looked for may be a phone number, so it stands in no address
    _office("waiting", "GET", "/waiting", Scope.TICKETS_READ),
    _office("tickets", "POST", "/ticket-searches", Scope.TICKETS_READ),
    _office("ticket", "GET", "/tickets/{ticket_id}", Scope.TICKETS_READ),
    _office("orders", "POST", "/order-searches", Scope.ORDERS_READ),
    _office("order", "GET", "/orders/{order_id}", Scope.ORDERS_READ),
    _office("suppliers", "GET", "/suppliers", Scope.ORDERS_READ),
)


def of_port(port: type) -> dict[str, Operation]:
    return {one.name: one for one in OPERATIONS if one.port is port}
