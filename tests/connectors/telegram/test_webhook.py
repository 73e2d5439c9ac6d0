"""Telegram brings people's messages to a door that lets nobody else in."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from aiohttp import web
from fastapi import FastAPI, Response
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

import settings
from connectors.channel import MediaUnavailable
from connectors.hardening import Hardening
from connectors.inbound import Media
from connectors.telegram import albums, webhook
from connectors.telegram.bot import Telegram
from connectors.telegram.webhook import Webhook
from tests.connectors.telegram.conftest import House
from tests.connectors.telegram.stand_in import Answer, StandIn, message, until

DOOR, HEADER, URL = "/telegram/webhook", "X-Telegram-Bot-Api-Secret-Token", "https://shop.test"


@pytest.fixture
async def public(shop: House, api: StandIn, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Telegram]:
    monkeypatch.setattr(albums, "ALBUM_SECONDS", 0.2)
    telegram = shop.telegram(URL)
    yield telegram
    await telegram._bot.session.close()


@pytest.fixture
async def door(public: Telegram) -> AsyncIterator[httpx.AsyncClient]:
    async with opened(public) as client:
        yield client


@asynccontextmanager
async def opened(public: Telegram) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    router = public.router()
    assert router is not None
    app.include_router(router)
    app.add_middleware(Hardening)

    @app.exception_handler(OperationalError)
    async def storage_away(*_: object) -> Response:  # as the gateway answers
        return Response(status_code=503)

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
        yield client


async def bring(door: httpx.AsyncClient, body: bytes | dict[str, Any], secret: str | bytes | None = "") -> int:
    shown = settings.telegram_webhook_secret() if secret == "" else secret
    headers: list[tuple[bytes, bytes]] = []
    if shown is not None:
        headers.append((HEADER.encode(), shown if isinstance(shown, bytes) else shown.encode()))
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return (await door.post(DOOR, content=content, headers=headers)).status_code


def update(number: int, **fields: Any) -> dict[str, Any]:
    return {"update_id": number, "message": message(message_id=number, **fields)}


async def test_a_message_is_brought(door: httpx.AsyncClient, shop: House) -> None:
    assert await bring(door, update(1, text="你好")) == 200
    assert await bring(door, update(1, text="你好")) == 200  # once more, after about a minute
    assert shop.texts() == ["你好"]


@pytest.mark.parametrize(
    "secret",
    [None, "wrong", b"", "a" * 300, "密钥".encode(), b"\xff\xfe", b"\xe5\xaf"],
    ids=["none", "wrong", "empty", "long", "Chinese", "no UTF-8", "cut UTF-8"],
)
async def test_nobody_else_is_let_in(secret: str | bytes | None, door: httpx.AsyncClient, shop: House) -> None:
    assert await bring(door, update(1, text="你好"), secret) == 401
    assert shop.received == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff", 400),
        (b"[]", 400),
        (b"7", 400),
        (b"[" * 100_000, 400),
        # whatever it is, it would come again and again
        (b"{}", 200),
        (b'{"update_id": 1, "message": {"text": 5}}', 200),
        (b'{"update_id": 1, "message": null}', 200),
        (b'{"update_id": 1, "channel_post": {}}', 200),
    ],
)
async def test_bodies_that_make_no_sense(body: bytes, status: int, door: httpx.AsyncClient, shop: House) -> None:
    assert await bring(door, body) == status
    assert shop.received == []


async def test_the_longest_message_there_is_comes_through(door: httpx.AsyncClient, shop: House) -> None:
    """Twelve bytes for each character, and with the message that it answers."""
    told = update(1, text="😀" * 4096, reply_to_message=message(text="😀" * 4096))
    assert len(json.dumps(told)) > 98_000
    assert await bring(door, told) == 200
    assert shop.texts() == ["😀" * 4096]


async def test_what_was_not_written_down_is_not_acknowledged(door: httpx.AsyncClient, shop: House) -> None:
    shop.refusals = [OperationalError("", {}, Exception("database is locked"))]
    assert await bring(door, update(1, text="你好")) == 503
    assert await bring(door, update(1, text="你好")) == 200
    assert shop.texts() == ["你好"]


async def test_of_all_that_come_at_the_start_one_asks_who_we_are(
    door: httpx.AsyncClient, shop: House, api: StandIn
) -> None:
    api.scripted["getMe"] = [Answer(502, "<html>")]
    told = await asyncio.gather(*(bring(door, update(number, text="你好")) for number in range(1, 6)))
    assert sorted(told) == [200, 200, 200, 200, 503]  # the one that was refused comes again
    assert len(api.sent("getMe")) == 2


def piece(number: int, group: str = "a") -> dict[str, Any]:
    size = {"file_id": f"p{number}", "file_unique_id": f"u{number}", "width": 1, "height": 1}
    return update(number, media_group_id=group, photo=[size])


@asynccontextmanager
async def gathering(telegram: Telegram) -> AsyncIterator[None]:
    door = telegram._door
    assert isinstance(door, Webhook)
    task = asyncio.create_task(door._albums.keep_gathering())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def handles(shop: House) -> list[list[str]]:
    return [[one.handle or "" for one in album.media] for album in shop.received]


async def test_the_pieces_of_an_album_come_at_once_and_are_one_message(
    door: httpx.AsyncClient, public: Telegram, shop: House
) -> None:
    statuses = await asyncio.gather(*(bring(door, piece(number)) for number in (12, 11, 13)))
    assert statuses == [200, 200, 200]
    async with gathering(public):
        await shop.heard(1)
        assert await bring(door, piece(12)) == 200  # which Telegram may say again
        assert await bring(door, piece(14, "another")) == 200
        await shop.heard(2)
    assert handles(shop) == [["p11", "p12", "p13"], ["p14"]]


async def test_pieces_that_come_to_several_gateways_are_one_message(
    door: httpx.AsyncClient, public: Telegram, shop: House
) -> None:
    """Also of a gateway that dies with one: it gathers nothing here."""
    second, third = shop.telegram(URL), shop.telegram(URL)
    async with opened(second) as beside, opened(third) as dies:
        doors = (door, beside, dies, door, beside)
        brought = (bring(at, piece(number)) for number, at in enumerate(doors, 21))
        assert await asyncio.gather(*brought) == [200] * 5
        async with gathering(public), gathering(second):
            await shop.heard(1)
            assert await bring(beside, piece(26, "another")) == 200
            await shop.heard(2)
    assert handles(shop) == [["p21", "p22", "p23", "p24", "p25"], ["p26"]]
    for telegram in (second, third):
        await telegram._bot.session.close()


async def test_no_piece_of_an_album_is_acknowledged_that_was_not_written_down(
    door: httpx.AsyncClient, public: Telegram, shop: House, engine: AsyncEngine
) -> None:
    for old, new in (("telegram_album_piece", "away"), ("away", "telegram_album_piece")):
        async with engine.begin() as connection:
            await connection.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))
        expected = 503 if new == "away" else 200
        assert await asyncio.gather(*(bring(door, piece(number)) for number in (31, 32))) == [expected] * 2
    async with gathering(public):
        await shop.heard(1)
    assert handles(shop) == [["p31", "p32"]]


async def test_an_album_that_could_not_be_written_down_is_gathered_again_as_it_was(
    door: httpx.AsyncClient, public: Telegram, shop: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(albums, "ALBUM_SECONDS", 1.0)
    monkeypatch.setattr(albums, "LEASE", timedelta(seconds=0.3))  # over before the late piece is ripe
    monkeypatch.setattr(albums, "LOOK_SECONDS", 0.1)
    shop.refusals = [OperationalError("", {}, Exception("database is locked"))]
    async with gathering(public):
        await asyncio.gather(*(bring(door, piece(number)) for number in (41, 42)))
        await until(lambda: not shop.refusals)
        await bring(door, piece(43))  # too late: a message of its own
        await shop.heard(2)
    assert sorted(handles(shop)) == [["p41", "p42"], ["p43"]]


# ---- what Telegram is told ----


async def test_telegram_is_told_of_the_door_and_of_its_secret(public: Telegram, api: StandIn) -> None:
    task = asyncio.create_task(public.listen())
    [told] = await api.called("setWebhook")
    task.cancel()
    assert told["url"] == f"{URL}{DOOR}"
    assert told["secret_token"] == settings.telegram_webhook_secret()
    assert json.loads(told["allowed_updates"]) == ["message", "edited_message", "callback_query", "my_chat_member"]
    assert "drop_pending_updates" not in told


async def test_an_operator_hears_that_telegram_cannot_deliver(
    public: Telegram, api: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "SOON_SECONDS", 0.5)
    now = int(datetime.now(UTC).timestamp())
    api.webhook = {"url": f"{URL}{DOOR}", "pending_update_count": 3, "last_error_date": now,
                   "last_error_message": "Wrong response from the webhook: 502 Bad Gateway"}  # fmt: skip
    task = asyncio.create_task(public.listen())
    door = public._door
    await until(lambda: door.failing)
    [told] = await public.check()
    assert "PUBLIC_URL" in told
    await until(lambda: not door.failing)
    assert await public.check() == []
    task.cancel()


def test_without_a_public_address_there_is_no_door(telegram: Telegram) -> None:
    assert telegram.router() is None


# ---- secrets ----


async def test_the_token_is_in_no_log_and_in_no_error(
    public: Telegram, api: StandIn, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.files["voice.oga"] = b"heard"
    assert await public.fetch(Media(kind="voice", handle="voice.oga", size=5)) == b"heard"
    with caplog.at_level(logging.DEBUG):
        for media in (
            Media(kind="voice", handle="gone"),
            Media(kind="file"),
            Media(kind="video", handle="voice.oga", size=2**30),
        ):
            with pytest.raises(MediaUnavailable) as error:
                await public.fetch(media)
            assert "secret" not in f"{error.value!r} {error.value.__cause__!r}"
        monkeypatch.setattr("connectors.telegram.bot.MOST_BYTES", 3)
        with pytest.raises(MediaUnavailable):
            await public.fetch(Media(kind="voice", handle="voice.oga"))
        api.files.clear()
        monkeypatch.setattr(api, "_getFile", lambda _: _file("gone"))
        with pytest.raises(MediaUnavailable) as error:
            await public.fetch(Media(kind="voice", handle="voice.oga"))
        assert "secret" not in f"{error.value!r} {error.value.__cause__!r}"  # though the address has it
    assert "secret" not in caplog.text


def _file(path: str) -> Any:
    result = {"file_id": path, "file_unique_id": path, "file_path": path}
    return web.json_response({"ok": True, "result": result})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TELEGRAM_BOT_TOKEN", "no token"),
        ("TELEGRAM_BOT_TOKEN", "42:a b"),
        ("TELEGRAM_API_BASE", "api.telegram.org"),
        ("TELEGRAM_WEBHOOK_SECRET", "密钥"),
        ("TELEGRAM_WEBHOOK_SECRET", "a" * 257),
    ],
)
def test_settings_that_cannot_be(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=name) as error:
        getattr(settings, name.lower())()
    assert value not in str(error.value)
