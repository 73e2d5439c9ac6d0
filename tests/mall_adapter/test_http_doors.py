"""Who may call the mall's API, and how it says no."""

from __future__ import annotations

import inspect
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from mall_adapter import BackOffice, CustomerMall, SqlBackOffice, SqlMall, errors
from mall_adapter import clients as known_clients
from mall_adapter.clients import Clients, Scope
from mall_adapter.errors import MallError, NotFound
from mall_adapter.http.operations import OPERATIONS, of_port
from mall_adapter.http.problems import STATUS, error_of, problem_of
from mall_adapter.http.server import mall_api
from mall_adapter.transactions import Transactions
from storage import IdempotencyConflict, Role

from .conftest import NOW, Clock

KEYED = {"Idempotency-Key": "k1"}
ZHOU = {"Mall-Sender": "web:zhou"}


@dataclass
class Budgets:
    """How many requests are left to whom."""

    left: dict[str | None, int] = field(default_factory=dict)

    async def spend(self, client: str | None, _: Any) -> int | None:
        self.left[client] = self.left.get(client, 1000) - 1
        return 7 if self.left[client] < 0 else None


@dataclass
class Door:
    http: httpx.AsyncClient
    clients: Clients
    budgets: Budgets

    async def key(self, *scopes: Scope, **more: Any) -> dict[str, str]:
        """Headers of a new client."""
        name = f"client {len(await self.clients.all())}"
        return {"Authorization": f"Bearer {await self.clients.add(name, scopes, **more)}"}


@pytest.fixture
async def door(engine: AsyncEngine, clock: Clock) -> AsyncIterator[Door]:
    mall, office, budgets = SqlMall(engine, clock=clock), SqlBackOffice(engine, clock), Budgets()
    clients = Clients(Transactions(engine, clock))
    app = FastAPI()
    app.mount("/mall", mall_api(lambda: mall, office, clients, budgets.spend))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://mall/mall") as http:
        yield Door(http, clients, budgets)
    await clients.close()


def refused(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert (response.status_code, response.headers["Content-Type"]) == (status, "application/problem+json")
    told: dict[str, Any] = response.json()
    assert (told["status"], told["code"]) == (status, code), told
    return told


@pytest.mark.parametrize("port", [CustomerMall, BackOffice])
def test_every_method_of_a_port_has_its_request(port: type) -> None:
    methods = {name for name, one in inspect.getmembers(port, inspect.isfunction) if not name.startswith("_")}
    assert of_port(port).keys() == methods
    for operation in of_port(port).values():
        assert {one.name for one in operation.arguments} == {*operation.signature.parameters} - {"self"}
        assert operation.repeatable


def test_no_two_methods_are_one_request() -> None:
    assert len({(one.method, one.path) for one in OPERATIONS}) == len({one.id for one in OPERATIONS}) == len(OPERATIONS)


def test_every_refusal_of_the_mall_can_be_told() -> None:
    kinds = [one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, MallError)]
    assert {*kinds} - {MallError} <= STATUS.keys()


@pytest.mark.parametrize(
    "error",
    [
        errors.WrongPhoneTail(3),
        errors.OrderLocked(NOW),
        errors.InvalidDelivery("phone"),
        errors.OutOfStock("P1-1"),
        errors.NotPermitted("supplier may not bind"),
        IdempotencyConflict("this key belongs to another request"),
    ],
)
def test_a_refusal_comes_back_as_it_was(error: Exception) -> None:
    back = error_of(json.loads(json.dumps(problem_of(error).content())))
    assert (type(back), str(back), vars(back)) == (type(error), str(error), vars(error))


def test_refusals_that_we_do_not_know_are_refusals_all_the_same() -> None:
    assert type(error_of({"code": "out_of_fashion", "detail": "no"})) is MallError
    assert error_of({"code": "unavailable"}) is None
    with pytest.raises(ValueError, match="wrong_proof"):
        error_of({"code": "wrong_proof"})


async def test_without_a_key_nothing_is_told_but_the_document(door: Door) -> None:
    good = await door.key(Scope.CATALOGUE_READ)
    wrong = good["Authorization"][:-1] + ("A" if good["Authorization"][-1] != "A" else "B")
    for headers in ({}, {"Authorization": wrong}, {"Authorization": "Bearer x"}, {"Authorization": "Basic eDp5"}):
        response = await door.http.get("/products/P1", headers=headers)
        refused(response, 401, "unauthorized")
        assert response.headers["WWW-Authenticate"] == "Bearer"
    refused(await door.http.get("/nowhere"), 401, "unauthorized")
    assert (await door.http.get("/products/P1", headers=good)).json()["name"] == "云跑缓震跑步鞋"
    document = (await door.http.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    assert {one["operationId"] for path in document["paths"].values() for one in path.values()} == {
        one.id for one in OPERATIONS
    }


async def test_a_key_opens_what_its_scopes_say(door: Door) -> None:
    reads = await door.key(Scope.CATALOGUE_READ, Scope.CUSTOMER_READ)
    assert (await door.http.get("/customer/orders", headers=reads | ZHOU)).json()["items"]
    response = await door.http.post("/customer/orders/ORD10003/cancellation", headers=reads | ZHOU | KEYED)
    assert "customer:write" in refused(response, 403, "insufficient_scope")["detail"]
    # and what is wrong with the request is told only to whom it concerns
    refused(await door.http.post("/orders", headers=reads, json={}), 403, "insufficient_scope")


async def test_a_revoked_key_opens_nothing(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    key = await door.key(Scope.CATALOGUE_READ)
    (client,) = await door.clients.all()
    assert (await door.http.get("/catalogue", headers=key)).status_code == 200
    elsewhere = Clients(door.clients._database)
    await elsewhere.revoke(client.name)  # as `python -m mall_adapter client revoke` does, in another process
    monkeypatch.setattr(known_clients, "KNOWN_SECONDS", 0.0)
    refused(await door.http.get("/catalogue", headers=key), 401, "unauthorized")


@pytest.mark.parametrize(
    ("scopes", "more", "error"),
    [
        ([Scope.CUSTOMER_READ], {"role": Role.SUPPLIER, "supplier_id": "S1"}, ValueError),  # names no senders
        ([Scope.STOCK_WRITE], {"role": Role.SUPPLIER}, ValueError),
        ([Scope.STOCK_WRITE], {"supplier_id": "S1"}, ValueError),
        ([Scope.STOCK_WRITE], {"role": Role.SUPPLIER, "supplier_id": "S9"}, NotFound),
        ([Scope.STOCK_WRITE], {"role": Role.CUSTOMER}, ValueError),
        (["everything"], {}, ValueError),
        ([], {}, ValueError),
    ],
)
async def test_a_key_that_should_not_be_is_not_made(
    door: Door, scopes: list[Scope], more: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        await door.key(*scopes, **more)
    assert await door.clients.all() == []


async def test_who_acts_follows_from_the_key(door: Door) -> None:
    supplier = await door.key(Scope.ORDERS_WRITE, role=Role.SUPPLIER, supplier_id="S1")
    order = {"customer_id": "C1", "items": {"P1-1": 1}}
    refused(await door.http.post("/orders", headers=supplier | KEYED, json=order), 403, "not_permitted")
    claims = {"Mall-Actor": "role=operator&principal_id=P-1"}
    refused(await door.http.post("/orders", headers=supplier | KEYED | claims, json=order), 403, "not_permitted")
    service = await door.key(Scope.ORDERS_WRITE)
    assert (await door.http.post("/orders", headers=service | KEYED | claims, json=order)).status_code == 201
    nonsense = {"Mall-Actor": "the boss"}
    refused(await door.http.post("/orders", headers=service | KEYED | nonsense, json=order), 400, "invalid_request")


async def test_keys_of_two_clients_do_not_meet(door: Door) -> None:
    one, other = [await door.key(Scope.ORDERS_WRITE) for _ in range(2)]
    first = await door.http.post("/orders", headers=one | KEYED, json={"customer_id": "C1", "items": {"P1-1": 1}})
    again = await door.http.post("/orders", headers=one | KEYED, json={"customer_id": "C1", "items": {"P1-1": 1}})
    assert (first.status_code, first.json()) == (201, again.json())
    second = await door.http.post("/orders", headers=other | KEYED, json={"customer_id": "C1", "items": {"P1-1": 2}})
    assert second.status_code == 201
    assert second.json()["id"] != first.json()["id"]
    clash = await door.http.post("/orders", headers=one | KEYED, json={"customer_id": "C1", "items": {"P1-1": 2}})
    refused(clash, 409, "idempotency_conflict")
    no_key = await door.http.post("/orders", headers=one, json={"customer_id": "C1", "items": {"P1-1": 1}})
    assert "Idempotency-Key" in refused(no_key, 422, "malformed_request")["errors"][0]["where"]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"customer_id": "C1"}',
        b'{"customer_id": "C1", "items": {"P1-1": "1"}}',
        b'{"customer_id": "C1", "items": {"P1-1": 1}, "gift": true}',
        b'{"customer_id": "C1", "items": {"P1-1": 99999999999}}',
        b'{"customer_id": "C\\u0000", "items": {"P1-1": 1}}',
        b'{"customer_id": "\\ud800", "items": {"P1-1": 1}}',
    ],
)
async def test_a_body_is_read_strictly_and_never_quoted(door: Door, body: bytes) -> None:
    headers = await door.key(Scope.ORDERS_WRITE) | KEYED | {"Content-Type": "application/json"}
    told = refused(await door.http.post("/orders", headers=headers, content=body), 422, "malformed_request")
    assert not any("input" in one for one in told.get("errors", []))


async def test_values_that_cannot_be_are_told_apart_from_a_wrong_form(door: Door) -> None:
    headers = await door.key(Scope.ORDERS_WRITE) | KEYED
    told = await door.http.post("/orders", headers=headers, json={"customer_id": "C1", "items": {}})
    assert "piece" in refused(told, 400, "invalid_request")["detail"]


async def test_what_is_not_there_is_told_as_a_problem_too(door: Door) -> None:
    key = await door.key(*Scope)
    refused(await door.http.get("/nowhere", headers=key), 404, "no_such_address")
    response = await door.http.delete("/customer/orders/ORD10001/delivery", headers=key)
    refused(response, 405, "method_not_allowed")
    assert response.headers["Allow"] == "GET, PATCH"
    refused(await door.http.get("/products/P9", headers=key), 404, "not_found")
    assert refused(await door.http.get("/customer/orders/ORD20001", headers=key | ZHOU), 403, "ownership_required")


async def test_a_list_comes_a_page_at_a_time(door: Door) -> None:
    key, cursor, seen = await door.key(Scope.CATALOGUE_READ), None, []
    while True:
        more: dict[str, str] = {} if cursor is None else {"cursor": cursor}
        page = (await door.http.get("/catalogue", headers=key, params={"limit": "3"} | more)).json()
        seen += [one["id"] for one in page["items"]]
        if (cursor := page["next"]) is None:
            break
    assert seen == ["P1", "P2", "P3", "P4"]
    for nonsense in ("x", "eyJhIjoxfQ==", "W10=", "MQ=="):
        response = await door.http.get("/catalogue", headers=key, params={"cursor": nonsense})
        refused(response, 400, "invalid_cursor")


async def test_one_too_many_is_told_when_to_come_again(door: Door) -> None:
    key = await door.key(Scope.CATALOGUE_READ)
    (client,) = await door.clients.all()
    door.budgets.left = {client.id: 1, None: 1}
    assert (await door.http.get("/catalogue", headers=key)).status_code == 200
    response = await door.http.get("/catalogue", headers=key)
    refused(response, 429, "too_many_requests")
    assert response.headers["Retry-After"] == "7"
    refused(await door.http.get("/catalogue"), 401, "unauthorized")
    refused(await door.http.get("/catalogue"), 429, "too_many_requests")  # guesses are counted, too


async def test_when_a_client_last_called_is_kept(door: Door, clock: Clock) -> None:
    key = await door.key(Scope.CATALOGUE_READ)
    for _ in range(3):
        await door.http.get("/catalogue", headers=key)
    clock.advance(seconds=30)
    await door.http.get("/catalogue", headers=key)
    for note in [*door.clients._notes]:
        await note
    (client,) = await door.clients.all()
    assert client.last_used_at == NOW
