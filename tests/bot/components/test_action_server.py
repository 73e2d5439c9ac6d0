"""The action server dies, hangs, fails, talks nonsense: a turn is completed or nothing of it is saved."""

from __future__ import annotations

import asyncio
import time

import pytest
from aiohttp import web
from rasa.utils.endpoints import EndpointConfig

from bot.components import action_server
from bot.components.action_server import is_action_result
from tests.bot.components.conftest import Actions, Bot, Handler, free_port, say_where_it_is, status_of

SHIPPED = [{"text": "订单 ORD12345 已发货"}]


async def test_one_connection_serves_many_turns(bot: Bot, actions: Actions) -> None:
    peers = set()

    async def note_peer(request: web.Request) -> web.Response:
        assert request.transport
        peers.add(request.transport.get_extra_info("peername"))
        return status_of()

    actions.handle = note_peer
    for _ in range(3):
        assert await bot.says("我的订单到哪了") == SHIPPED
    assert len(peers) == 1


async def test_the_domain_travels_once_to_each_action_server(bot: Bot, actions: Actions) -> None:
    """As rasa-sdk does it: 449 asks for the domain of a digest that this server, just started, has not seen."""
    known: set[str] = set()

    async def sdk(request: web.Request) -> web.Response:
        call = actions.calls[-1]
        if call["domain_digest"] not in known and "domain" not in call:
            return web.json_response({"error": "no domain"}, status=449)
        known.add(call["domain_digest"])
        return status_of()

    actions.handle = sdk
    for _ in range(2):
        assert await bot.says("我的订单到哪了") == SHIPPED
    known.clear()
    assert await bot.says("我的订单到哪了") == SHIPPED
    assert ["domain" in call for call in actions.calls] == [False, True, False, False, True]


async def test_of_two_servers_the_one_that_is_there_is_asked_at_once(bot: Bot, actions: Actions) -> None:
    server = bot.agent.action_endpoint
    assert isinstance(server, action_server.ActionServer)
    away = f"http://127.0.0.1:{free_port()}/webhook"
    for urls in (f"{away},{server.url}", f"{server.url}, {away}"):
        server._urls = action_server.ActionServer(EndpointConfig(urls))._urls
        for sender in ("web:ann", "web:bob", "web:kim", "web:sam"):  # whichever is theirs
            started = time.monotonic()
            assert await bot.says("我的订单到哪了", sender) == SHIPPED
            assert time.monotonic() - started < 2


async def test_a_server_that_dies_in_the_middle_and_comes_back_completes_the_turn(bot: Bot, actions: Actions) -> None:
    async def die(request: web.Request) -> web.Response:
        actions.handle = say_where_it_is
        assert request.transport
        request.transport.abort()
        asyncio.create_task(restart())  # noqa: RUF006
        await asyncio.Event().wait()
        raise AssertionError

    async def restart() -> None:
        await actions.stop()
        await asyncio.sleep(0.5)  # away for a while: connections are refused
        await actions.start()

    await bot.says("你好")
    actions.handle = die
    assert await bot.says("我的订单到哪了") == SHIPPED
    first, *others = actions.calls
    assert others
    assert all(call == first for call in others)
    assert await bot.heard() == ["你好", "我的订单到哪了"]


async def test_a_server_that_stays_away_fails_the_turn_and_nothing_is_saved(
    bot: Bot, actions: Actions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(action_server, "PATIENCE_SECONDS", 0.5)
    await bot.says("你好")
    before = await bot.tracker()
    await actions.stop()
    assert (await bot.send("我的订单到哪了", message_id="m"))[0] == 503
    assert before
    after = await bot.tracker()
    assert after
    assert list(after.events) == list(before.events)
    await actions.start()
    assert (await bot.send("我的订单到哪了", message_id="m"))[1]["messages"] == SHIPPED


async def test_a_server_that_hangs_fails_the_turn_in_time(
    bot: Bot, actions: Actions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(action_server, "ATTEMPT_SECONDS", 0.2)
    monkeypatch.setattr(action_server, "PATIENCE_SECONDS", 0.8)

    async def hang(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        return status_of()

    actions.handle = hang
    assert (await asyncio.wait_for(bot.send("我的订单到哪了"), 60))[0] == 503
    assert len(actions.calls) >= 2
    assert await bot.heard() == []


async def test_a_server_that_is_not_ready_yet_is_asked_again(bot: Bot, actions: Actions) -> None:
    async def not_ready(request: web.Request) -> web.Response:
        return status_of() if len(actions.calls) > 2 else web.Response(status=503)

    actions.handle = not_ready
    assert await bot.says("我的订单到哪了") == SHIPPED


def answers(status: int, text: str) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(status=status, text=text, content_type="application/json")

    return handle


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, '{"error": "exception in the action", "action_name": "action_order_status"}'),
        (404, '{"error": "No registered action found", "action_name": "action_order_status"}'),
        (200, "not JSON"),
        (200, "null"),
        (200, '{"events": {}, "responses": []}'),
        (200, '{"events": [{"name": "order_id"}], "responses": []}'),
        (200, '{"events": [{"event": "no such event"}], "responses": []}'),
        (200, '{"events": [{"event": "slot"}], "responses": []}'),
        (200, '{"events": [], "responses": ["text"]}'),
        (200, '{"events": [], "responses": []}'),
    ],
)
async def test_an_action_that_fails_abandons_the_turn_at_once(
    bot: Bot, actions: Actions, status: int, body: str
) -> None:
    actions.handle = answers(status, body)
    assert (await bot.send("我的订单到哪了"))[0] == 503
    assert len(actions.calls) == 1
    assert await bot.heard() == []


async def test_an_action_may_reject_its_execution(bot: Bot, actions: Actions) -> None:
    rejection = '{"error": "not now", "action_name": "action_order_status"}'
    actions.handle = answers(400, rejection)
    assert await bot.says("我的订单到哪了") == [{"text": "这句我没听懂"}]
    assert await bot.heard() == ["我的订单到哪了"]


@pytest.mark.parametrize(
    ("result", "fits"),
    [
        ({"events": [], "responses": []}, True),
        ({}, True),
        ({"events": [{"event": "slot", "name": "a", "value": 1}], "responses": [{"text": "hi"}]}, True),
        ({"events": None}, False),
        ({"events": ["slot"]}, False),
        ({"responses": {}}, False),
        ([], False),
        (None, False),
    ],
)
def test_the_shape_of_a_result(result: object, fits: bool) -> None:
    assert is_action_result(result) is fits
