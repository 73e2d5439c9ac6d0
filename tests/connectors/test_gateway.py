"""POST /api/chat as callers and visitors see it, and /healthz."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import Response

from connectors.web.visitor import COOKIE, Visitors
from tests.connectors.conftest import Gateway, fake_graph
from tests.connectors.conversations import Conversations
from tests.connectors.fake_rasa import UNDERSTOOD, FakeRasa


def someone() -> str:
    return f"caller-{uuid4()}"


def test_a_message_gets_the_bots_answer(gateway: Gateway, rasa: FakeRasa) -> None:
    ticket: list[dict[str, Any]] = [
        {"text": "请选择退货原因", "buttons": [{"title": "颜色不喜欢", "payload": '/inform{"reason": "dislike"}'}]},
        {"image": "/static/avatar.svg"},
    ]
    rasa.answers["ORD12345"] = ticket

    response = gateway.say("ORD12345", someone(), "m-1")

    assert response.status_code == 200
    assert response.json() == {"id": "m-1", "messages": ticket, "understood": UNDERSTOOD}
    assert response.headers["cache-control"] == "no-store"


def test_a_bot_that_says_nothing_is_never_silence(gateway: Gateway, rasa: FakeRasa) -> None:
    rasa.answers["……"] = []
    assert gateway.say("……", someone()).json()["messages"][0]["text"]


@pytest.mark.parametrize("text", ["我想退货", "👍", "'; DROP TABLE customer; --", "<img onerror=alert(1)>", "/restart"])
def test_any_words_reach_the_bot_as_they_are(gateway: Gateway, rasa: FakeRasa, text: str) -> None:
    assert gateway.say(text, someone()).status_code == 200
    assert rasa.texts() == [text]


BAD = {
    "empty": (b'{"text": ""}', 422, "blank_text"),
    "blank": ('{"text": " \u3000\\n"}', 422, "blank_text"),
    "zero-width and right-to-left marks": ('{"text": "\u200b\u200f\u202e\ufeff"}', 422, "blank_text"),
    "Hangul filler": ('{"text": "\u3164"}', 422, "blank_text"),
    "10,000 characters": (json.dumps({"text": "退" * 10_000}), 422, "text_too_long"),
    "2,001 characters": (json.dumps({"text": "退" * 2_001}), 422, "text_too_long"),
    "NUL": (b'{"text": "a\\u0000b"}', 422, "unreadable_text"),
    "lone surrogate": (b'{"text": "a\\ud800b"}', 422, "unreadable_text"),
    "lone surrogate in the sender": (b'{"text": "a", "sender": "\\ud800"}', 422, None),
    "not UTF-8": (b'{"text": "\xff\xfe"}', 400, None),
    "no JSON": (b'{"text": ', 422, "json_invalid"),
    "nothing": (b"", 422, None),
    "deep nesting": (b"[" * 30_000, 400, None),
    "a list": (b"[]", 422, None),
    "a number": (b"1", 422, None),
    "null text": (b'{"text": null}', 422, "string_type"),
    "text is a number": (b'{"text": 12345}', 422, "string_type"),
    "text is an object": (b'{"text": {"$ne": 1}}', 422, "string_type"),
    "no text": (b'{"sender": "a"}', 422, "missing"),
    "sender is a number": (b'{"text": "a", "sender": 1}', 422, "string_type"),
    "sender is empty": (b'{"text": "a", "sender": ""}', 422, "string_too_short"),
    "sender is endless": (json.dumps({"text": "a", "sender": "x" * 300}), 422, "string_too_long"),
    "message id with spaces": (b'{"text": "a", "message_id": "a b"}', 422, "string_pattern_mismatch"),
    "a megabyte": (json.dumps({"text": "x" * 1_000_000}), 413, "http_413"),
}


@pytest.mark.parametrize(("body", "status", "code"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused_with_a_reason(
    gateway: Gateway, rasa: FakeRasa, body: str | bytes, status: int, code: str | None
) -> None:
    headers = {"Content-Type": "application/json"}
    content = body if isinstance(body, bytes) else body.encode()
    response = httpx.post(f"{gateway.url}/api/chat", content=content, headers=headers, trust_env=False)

    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert code in (None, error["code"])
    assert any("\u4e00" <= character <= "\u9fff" for character in error["message"])
    assert rasa.calls == []
    assert gateway.say("你好", someone()).status_code == 200


def test_a_running_gateway_keeps_the_names_of_the_goods_for_the_bot(gateway: Gateway) -> None:
    names, deadline = gateway.folder / "lookups" / "catalogue.json", time.monotonic() + 60
    while not names.exists():
        assert time.monotonic() < deadline
    assert set(json.loads(names.read_text("utf-8"))) == {"product", "brand", "category"}


def test_2000_characters_are_welcome(gateway: Gateway, rasa: FakeRasa) -> None:
    assert gateway.say("退" * 2_000, someone()).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
def test_a_form_on_another_site_cannot_speak_for_a_visitor(gateway: Gateway, rasa: FakeRasa, kind: str | None) -> None:
    headers = {"Content-Type": kind} if kind else {}
    response = httpx.post(f"{gateway.url}/api/chat", content=b'{"text": "x"}', headers=headers, trust_env=False)
    assert response.status_code == 422
    assert rasa.calls == []


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nowhere", 404), ("GET", "/api/chat", 405), ("GET", "/static/..%2f", 404)]
)
def test_unknown_addresses_are_refused_in_json(gateway: Gateway, method: str, path: str, status: int) -> None:
    response = httpx.request(method, gateway.url + path, trust_env=False)
    assert (response.status_code, response.json()["error"]["code"]) == (status, f"http_{status}")


# ---- who is speaking ----


@contextmanager
def browser(gateway: Gateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url, trust_env=False) as client:
        client.get("/")
        yield client


def test_a_visitor_keeps_the_conversation_of_the_cookie(gateway: Gateway, rasa: FakeRasa) -> None:
    with browser(gateway) as ming, browser(gateway) as hong:
        for client in (ming, ming, hong):
            assert client.post("/api/chat", json={"text": "在吗"}).status_code == 200
    first, second, third = [call.sender for call in rasa.calls]
    assert first == second != third
    assert first.startswith("web:")
    assert first.isascii()


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(gateway: Gateway) -> None:
    cookie = httpx.get(gateway.url, trust_env=False).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie  # the address is http


def test_behind_https_the_cookie_never_travels_in_clear() -> None:
    response = Response()
    Visitors([b"k" * 32], secure=True).remember(response, None)
    assert "Secure" in response.headers["set-cookie"]


def test_a_forged_cookie_is_replaced(gateway: Gateway, rasa: FakeRasa) -> None:
    with browser(gateway) as victim:
        victim.post("/api/chat", json={"text": "在吗"})
        genuine = victim.cookies[COOKIE]
    visitor, stamp, signature = genuine.split(".")

    def other(text: str) -> str:
        return ("B" if text[0] == "A" else "A") + text[1:]

    forged = [
        visitor,
        f"{visitor}.{stamp}.",
        f"{visitor}.{stamp}.{other(signature)}",
        f"{other(visitor)}.{stamp}.{signature}",
        f"{visitor}.{other(stamp)}.{signature}",
        "web:" + genuine,
        "",
        "退货",
    ]
    for cookie in forged:
        headers = [(b"cookie", f"{COOKIE}={cookie}".encode())]
        response = httpx.post(f"{gateway.url}/api/chat", json={"text": "在吗"}, headers=headers, trust_env=False)
        assert response.status_code == 200
        assert response.cookies[COOKIE] != genuine
    senders = [call.sender for call in rasa.calls]
    assert len(set(senders)) == len(forged) + 1


def test_the_history_is_for_the_visitor_of_the_cookie_only(gateway: Gateway, rasa: FakeRasa) -> None:
    rasa.store = Conversations(gateway).turn
    with browser(gateway) as visitor, browser(gateway) as other:
        visitor.post("/api/chat", json={"text": "在吗", "message_id": "m1"})
        said = visitor.get("/api/chat/history")
        assert said.headers["cache-control"] == "no-store"
        exchange = {"id": "m1", "position": 1, "text": "在吗", "messages": [{"text": "收到：在吗"}]}
        assert said.json() == {"visitor": True, "more": False, "after": 3, "said": [exchange]}
        assert visitor.get("/api/chat/history?after=3").json()["said"] == []
        assert other.get("/api/chat/history").json() == {"visitor": True, "more": False, "after": 0, "said": []}
        for query in ("sender=web:x", f"sender={rasa.calls[0].sender}"):
            assert other.get(f"/api/chat/history?{query}").json()["said"] == []
        for query in ("after=-1", "after=x", "after=99999999999", "after="):
            assert visitor.get(f"/api/chat/history?{query}").status_code == 422
    nobody = {"visitor": False, "more": False, "after": 0, "said": []}
    for cookie in ({}, {COOKIE: "x"}, {COOKIE: "a.b.c"}):
        response = httpx.get(f"{gateway.url}/api/chat/history", cookies=cookie, trust_env=False)
        assert response.json() == nobody


@pytest.mark.parametrize(
    "pretence", ["{web}", "api:{web}", "wechat:o123", "telegram:1", "web:\u0000x", "../{web}", "🧧"]
)
def test_a_callers_sender_reaches_no_other_conversation(gateway: Gateway, rasa: FakeRasa, pretence: str) -> None:
    with browser(gateway) as visitor:
        visitor.post("/api/chat", json={"text": "在吗"})
        victim = rasa.calls[0].sender
        # not even with the visitor's own cookie
        visitor.post("/api/chat", json={"text": "在吗", "sender": pretence.format(web=victim)})
    stranger = rasa.calls[1].sender
    assert stranger.startswith("api:")
    assert victim not in stranger
    assert stranger.isascii()


# ---- one at a time, and never too many ----


@asynccontextmanager
async def post_all(
    gateway: Gateway, bodies: list[dict[str, Any]]
) -> AsyncIterator[Iterator[asyncio.Future[httpx.Response]]]:
    """Sends all at once; gives the responses as they come."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=gateway.url, timeout=60, limits=limits, trust_env=False) as client:
        yield asyncio.as_completed([asyncio.create_task(client.post("/api/chat", json=body)) for body in bodies])


async def at_once(gateway: Gateway, bodies: list[dict[str, Any]]) -> list[httpx.Response]:
    async with post_all(gateway, bodies) as answers:
        return [await answer for answer in answers]


async def test_messages_of_one_sender_keep_their_order(gateway: Gateway, rasa: FakeRasa) -> None:
    rasa.gate.clear()
    sender = someone()
    async with httpx.AsyncClient(base_url=gateway.url, timeout=60, trust_env=False) as client:
        posts = [asyncio.create_task(client.post("/api/chat", json={"sender": sender, "text": "0"}))]
        await rasa.arrival()
        for number in range(1, 6):
            posts.append(asyncio.create_task(client.post("/api/chat", json={"sender": sender, "text": f"{number}"})))
            await asyncio.sleep(0.02)  # in the order of the wire; what is tested is the order behind it
        rasa.gate.set()
        answers = [(await post).json()["messages"][0]["text"] for post in posts]
    assert rasa.texts() == ["0", "1", "2", "3", "4", "5"]
    assert answers == [f"收到：{number}" for number in range(6)]
    assert not rasa.overtaken


async def test_fifty_messages_at_once_get_answers_or_a_polite_refusal(gateway: Gateway, rasa: FakeRasa) -> None:
    sender = someone()
    rasa.gate.clear()
    async with post_all(gateway, [{"sender": sender, "text": str(number)} for number in range(50)]) as answers:
        refused = [await next(answers) for _ in range(40)]
        [other] = await at_once(gateway, [{"sender": someone(), "text": ""}])  # the gateway is not stuck
        rasa.gate.set()
        answered = [await answer for answer in answers]
    assert {response.status_code for response in refused} == {429}
    assert int(refused[0].headers["retry-after"]) > 0
    assert "请稍等" in refused[0].json()["error"]["message"]
    assert other.status_code == 422
    assert [response.status_code for response in answered] == [200] * 10
    assert not rasa.overtaken
    assert gateway.say("还在吗", sender).json()["messages"] == [{"text": "收到：还在吗"}]


async def test_a_busy_sender_holds_up_nobody_else(gateway: Gateway, rasa: FakeRasa) -> None:
    rasa.gate.clear()
    async with post_all(gateway, [{"sender": someone(), "text": "慢慢想"}] * 2) as answers:
        await rasa.arrival()
        async with post_all(gateway, [{"sender": someone(), "text": "我有急事"}]) as others:
            await rasa.arrival()
            assert rasa.texts() == ["慢慢想", "我有急事"]
            rasa.gate.set()
            assert [(await answer).status_code for answer in (*answers, *others)] == [200] * 3


async def test_a_flood_of_new_senders_is_bounded(gateway: Gateway, rasa: FakeRasa) -> None:
    rasa.gate.clear()
    async with post_all(gateway, [{"sender": someone(), "text": "你好"} for _ in range(300)]) as answers:
        refused = [await next(answers) for _ in range(300 - 256)]
        assert len(rasa.calls) <= 32
        rasa.gate.set()
        others = {(await answer).status_code for answer in answers}
    assert {response.status_code for response in refused} == {429}
    assert 200 in others
    assert gateway.say("还在吗", someone()).status_code == 200


# ---- the same message again ----


def test_a_repeated_message_reaches_the_bot_as_the_same_and_gets_the_first_answer(
    gateway: Gateway, rasa: FakeRasa
) -> None:
    sender = someone()
    first = gateway.say("我想退货", sender, "m-1")
    rasa.answers["我想退货"] = [{"text": "又一个工单"}]
    assert gateway.say("我想退货", sender, "m-1").json() == first.json()
    # somebody else's m-1 is another message
    assert gateway.say("我想退货", someone(), "m-1").json()["messages"] == [{"text": "又一个工单"}]
    mine, again, other = rasa.calls
    assert mine == again != other


async def test_a_repeat_waits_for_the_answer_in_flight(gateway: Gateway, rasa: FakeRasa) -> None:
    rasa.gate.clear()
    body = {"sender": someone(), "text": "我想退货", "message_id": "m-1"}
    async with post_all(gateway, [body] * 11) as answers:
        assert (await next(answers)).status_code == 429  # so the other ten are in the queue
        rasa.gate.set()
        first, *others = [(await answer).json() for answer in answers]
    assert others == [first] * 9
    assert rasa.texts() == ["我想退货"]
    assert not rasa.overtaken


# ---- health and headers ----


def test_health_names_every_part(gateway: Gateway, rasa: FakeRasa) -> None:
    names = ("bot", "actions", "database", "graph", "data", "keyring", "tasks", "limits", "rules", "knowledge")
    on = dict.fromkeys((*names, "delivery"), "ok")
    parts = on | {"wechat": "off", "wechat_kf": "off", "telegram": "off"}

    def health() -> tuple[int, dict[str, Any]]:
        response = httpx.get(f"{gateway.url}/healthz", trust_env=False)
        told = response.json()
        of_tests = [one for one in told["warnings"] if one["part"] == "limits"]  # others of this gateway forward
        return response.status_code, told | {"warnings": [one for one in told["warnings"] if one not in of_tests]}

    with fake_graph(gateway.graph_port):
        assert health() == (200, {"status": "ok", "parts": parts, "warnings": []})

    rasa.healthy = False
    down = parts | {"bot": "down", "actions": "down", "graph": "down"}
    assert health() == (503, {"status": "degraded", "parts": down, "warnings": []})


@pytest.mark.parametrize("path", ["/", "/api/chat", "/static/chat.js", "/nowhere"])
def test_every_response_is_hardened(gateway: Gateway, path: str) -> None:
    headers = httpx.get(gateway.url + path, trust_env=False).headers
    assert "script-src 'self'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert "server" not in headers


def test_a_drawn_comparison_is_shown_where_there_are_no_tables(gateway: Gateway, rasa: FakeRasa) -> None:
    name, drawn = f"{uuid4().hex}.png", b"\x89PNG\r\n\x1a\n..."
    (gateway.folder / "pictures").mkdir(exist_ok=True)
    (gateway.folder / "pictures" / name).write_bytes(drawn)
    custom = {"table": {"columns": ["", "A", "B"], "rows": [["重量", "1 kg", "2 kg"]]}, "picture": name}
    rasa.answers["A和B"] = [{"text": "给您放一起看：", "custom": custom}]

    (message,) = gateway.say("A和B", someone()).json()["messages"]
    picture = httpx.get(message["image"], trust_env=False)

    assert (picture.status_code, picture.content, picture.headers["content-type"]) == (200, drawn, "image/png")
    assert picture.headers["cache-control"] == "public, max-age=31536000, immutable"
    (of_the_web_chat,) = gateway.say("A和B", sender=None).json()["messages"]  # which draws the table itself
    assert "image" not in of_the_web_chat


@pytest.mark.parametrize(
    "name", ["a" * 32 + ".png", "../keyring.json", "%2e%2e%2fkeyring.json", "x.png", ".png", "%00"]
)
def test_no_other_file_is_a_picture(gateway: Gateway, name: str) -> None:
    (gateway.folder / "pictures").mkdir(exist_ok=True)
    (gateway.folder / "pictures" / "x.png").write_bytes(b"of somebody else")
    assert httpx.get(f"{gateway.url}/pictures/{name}", trust_env=False).status_code == 404
