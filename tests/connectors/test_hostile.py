"""Ten thousand hostile requests: no answer is a fault of ours, and nothing is changed by them."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import re
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes, unquote

import pytest
from fastapi import FastAPI, Response
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.exceptions import HTTPException
from starlette.requests import Request

import settings
from connectors import hardening
from connectors.dashboard.operators import COOKIE as OPERATOR
from connectors.dashboard.operators import Operators
from connectors.gateway import create_app
from connectors.rates import Rates
from connectors.web.visitor import COOKIE as VISITOR
from connectors.web.visitor import Visitors
from mall_adapter import Desk
from privacy import KeyRing, verify_keyring
from storage import WRITES, create_engine, migrate
from tests.connectors.conftest import HOSTILE, Gateway, aside
from tests.connectors.fake_rasa import FakeRasa
from tests.knowledge_graph.servers import PASSWORD, Server

log = logging.getLogger(__name__)

SEED = 20260301
"""Handed to the application itself; the other 300 go over a socket."""

NASTY = [
    *("", " ", "\x00", "\ud800", "\udfff\ud800", "\u202e", "\ufeff", "👩‍👩‍👧", "é" * 300, "退" * 3_000, "A" * 70_000),
    *("../../etc/passwd", "..%2f..%2fkeyring.json", "%00", "%ff%fe", "%", "\\..\\", "//evil.example/", "C:\\con"),
    *("' OR 1=1 --", "1; DROP TABLE customer", "MATCH (n) DETACH DELETE n", "`)//", "${jndi:ldap://x}", "{{7*7}}"),
    *("%s%n%x", "{0.__class__}", "<script>alert(1)</script>", "javascript:alert(1)", "\r\nSet-Cookie: a=b", "\n"),
    *(
        "-1",
        "0",
        "9" * 30,
        "9223372036854775808",
        "-9223372036854775809",
        "1e400",
        "NaN",
        "１２",
        "0x10",
        "1.5",
        "true",
    ),
    *("null", "[]", "{}", '{"a":1}', "web:x", "api:x", "/restart", '/affirm{"a": 1}', "ORD12345", "web:" + "x" * 252),
]
VALUES: list[Any] = [
    *NASTY,
    *(None, True, False, 0, -1, 2**63, 10**400, 1.5, float("nan"), float("inf"), [], {}, [[]], {"$ne": 1}, ["a"] * 999),
]
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "X" * 99]
PATHS = [
    *("/", "/api/chat", "/api/chat/", "/api/chat/updates", "/api/feedback", "/static/chat.js", "/static/chat.css"),
    *("/static/vendor/deep-chat-2.4.2/deepChat.bundle.js", "/static", "/static/", "/pictures/", "/dashboard"),
    *("/dashboard/", "/dashboard/graph", "/dashboard/gaps", "/dashboard/api/session", "/dashboard/api/handoffs"),
    *(
        "/dashboard/api/misunderstood",
        "/dashboard/api/complaints",
        "/dashboard/api/health",
        "/dashboard/static/desk.js",
    ),
    *("/embed", "/embed.js", "/offline", "/manifest.webmanifest", "/service-worker.js"),
    *("/api/chat/visitor", "/api/chat/pictures", "/api/chat/pictures?message_id=a"),
    *("/dashboard/api/graph/search", "/dashboard/api/graph/around", "/dashboard/api/graph/gaps", "/openapi.json"),
]
BELOW = [
    *("/pictures/{}", "/static/{}", "/dashboard/static/{}", "/dashboard/conversations/{}", "/{}", "/api/chat/{}"),
    *("/api/chat/pictures/{}", "/api/chat/pictures?message_id={}", "/?lang={}"),
    *("/dashboard/api/conversations/{}", "/dashboard/api/handoffs/{}", "/dashboard/api/handoffs/{}/claim"),
    *("/dashboard/api/handoffs/{}/say", "/dashboard/api/handoffs/{}/hand-back", "/dashboard/api/complaints/{}/settle"),
    "/dashboard/api/misunderstood/{}/settle",
]
HEADERS = [
    *("Host", "Origin", "Referer", "Cookie", "Authorization", "X-Forwarded-For", "X-Forwarded-Proto", "Forwarded"),
    *("X-Real-IP", "Via", "Range", "If-Range", "If-None-Match", "If-Modified-Since", "Accept", "Accept-Encoding"),
    *(
        "Accept-Language",
        "Content-Type",
        "Content-Length",
        "Content-Encoding",
        "Transfer-Encoding",
        "Expect",
        "Upgrade",
    ),
    *("Sec-Fetch-Site", "X-CSRF-Token", "X-HTTP-Method-Override", "X-Original-URL", "Connection", "User-Agent", "TE"),
    "X-Visitor",
]
HEADER_VALUES = [
    *(b"", b"\xff\xfe", b"\x80" * 50, b"a" * 9_000, b"http://[", b"null", b"*", b"bytes=0-", b"bytes=9-1,,-", b"gzip"),
    *(b"bytes=0-0,1-1,2-2", b"bytes=-99999999999999999999", b"bytes=" + b"0-1," * 500, b"multipart/form-data"),
    *(b"multipart/form-data; boundary=x", b"application/json; charset=utf-16", b"application/json; charset=nonsense"),
    *(b"Bearer ", b"Bearer \xe9", b"Basic " + b"A" * 500, b"127.0.0.1, " * 400, b'for="[::1]:x";proto=', b"-1", b"1e9"),
    *(b"Sun, 99 Foo 0000 99:99:99 GMT", b'W/"', b'"' * 50, b"websocket", b"chunked, chunked", b"100-continue", b"; ="),
    *(
        b"127.0.0.1:8000",
        b"[::1",
        b"evil.example",
        b"q=0;q=1;,,;",
        b"same-origin",
        b"cross-site",
        b"https://evil.example",
    ),
]
BODIES = [
    *(b"", b"{", b"[" * 30_000, b'{"a":' * 20_000, b"\xff\xfe{\x00}\x00", b"\x1f\x8b\x08", b"null", b"1", b'""'),
    *('{"text": "退货"}'.encode("gbk"), '{"text": "退货"}'.encode("utf-16"), b'\xef\xbb\xbf{"text": "a"}'),
    *(b"x" * 70_000, b"NaN"),
    *(b'{"text": "a", "text": "b"}', b'{"text": "\\ud800"}', b'{"text": "a", "__proto__": {}}', b'{"text": 1e99999}'),
    b'--x\r\nContent-Disposition: form-data; name="text"; filename="../../x"\r\n\r\n\x00\x01\r\n--x--\r\n',
    b"--x\r\n" * 5_000,
]
FIELDS = ["text", "sender", "message_id", "source", "helpful", "token", "name", "intent", "resolved", "x"]
QUERIES = ["sender", "after", "before", "words", "label", "id", "hops", "x"]


class Attack:
    """Makes requests from a seed."""

    def __init__(self, random: random.Random, cookies: dict[str, str], csrf: str) -> None:
        self.random = random
        self.cookies = cookies  # genuine ones
        self.csrf = csrf

    def nasty(self) -> str:
        word: str = self.random.choice(NASTY)
        return word if self.random.random() < 0.8 else word[: self.random.randrange(9)] + self.random.choice(NASTY)

    def encoded(self, text: str) -> str:
        return quote_from_bytes(text.encode("utf-8", "surrogatepass"), safe=self.random.choice(["", "/", "/%"]))

    def path(self) -> str:
        if self.random.random() < 0.5:
            return self.random.choice(PATHS)
        return self.random.choice(BELOW).format(self.encoded(self.nasty()))

    def query(self) -> str:
        names = self.random.choices(QUERIES, k=self.random.randrange(4))
        return "&".join(f"{name}={self.encoded(self.nasty())}" for name in names)

    def body(self) -> bytes:
        if self.random.random() < 0.3:
            return self.random.choice(BODIES)
        fields = self.random.sample(FIELDS, self.random.randrange(5))
        body = {name: self.random.choice(VALUES) for name in fields}
        if self.random.random() < 0.3:
            body |= {"text": self.nasty(), "helpful": True, "token": self.nasty(), "name": self.nasty()[:20]}
        return json.dumps(body).encode()

    def cookie(self) -> bytes:
        name, genuine = self.random.choice([*self.cookies.items()])
        place = self.random.randrange(len(genuine))
        forged = self.random.choice(
            [
                genuine,
                genuine[:place],
                genuine[:place] + self.random.choice("Aa0._-é\x7f") + genuine[place + 1 :],
                genuine * 2,
                genuine.replace(".", "..", 1),
                self.nasty(),
            ]
        )
        return f"{name}={forged}".encode("utf-8", "replace").replace(b"\n", b"")

    def headers(self) -> list[tuple[bytes, bytes]]:
        headers = {"host": b"127.0.0.1:8000", "content-type": b"application/json"}
        if self.random.random() < 0.6:  # somebody who is signed in and has a page open
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items()).encode()
            headers["x-csrf-token"] = self.csrf.encode()
        elif self.random.random() < 0.5:
            headers["cookie"] = self.cookie()
        found = [(name.encode(), value) for name, value in headers.items()]
        for name in self.random.choices(HEADERS, k=self.random.choice([0, 0, 1, 3])):
            found = [pair for pair in found if pair[0] != name.lower().encode() or self.random.random() < 0.2]
            found.append((name.lower().encode(), self.random.choice(HEADER_VALUES)))
        return found

    def request(self) -> tuple[dict[str, Any], bytes]:
        """Scope and body."""
        path, method = self.path(), self.random.choice(METHODS)
        if self.random.random() < 0.6:
            method = "POST" if "settle" in path or "claim" in path or "chat" in path or "feed" in path else "GET"
        raw, query = path.encode("ascii", "replace"), self.query().encode("ascii", "replace")
        there = ("127.0.0.1", 4711) if self.random.random() < 0.7 else (self.address(), 4711)
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": self.random.choice(["1.1", "1.1", "1.0"]),
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": raw,
            "query_string": query,
            "root_path": "",
            "headers": self.headers(),
            "client": there,
            "server": ("127.0.0.1", 8000),
        }
        return scope, self.body()

    def address(self) -> str:
        return f"203.0.{self.random.randrange(256)}.{self.random.randrange(256)}"


async def answer_to(app: FastAPI, scope: dict[str, Any], body: bytes) -> int:
    """The status, of a server that goes on whatever the application raises."""
    status = 0
    parts = iter([{"type": "http.request", "body": body, "more_body": False}])
    gone = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if (part := next(parts, None)) is None:
            await gone.wait()
            return {"type": "http.disconnect"}
        return part

    async def send(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)

    try:
        await app(scope, receive, send)
    except Exception:
        log.exception("%s %s", scope["method"], scope["path"])
        status = 500
    return status


@pytest.fixture(scope="module")
def place(graph_server: Server, rasa_server: FakeRasa, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A house of its own, as the settings tell it."""
    folder = tmp_path_factory.mktemp("hostile")
    environment = {
        "DATA_DIR": str(folder),
        "DATABASE_URL": f"sqlite:///{folder / 'zhanggui.db'}",
        "KEYRING_FILE": str(folder / "keyring.json"),
        "RASA_URL": rasa_server.url,
        "ACTIONS_URL": rasa_server.url,
        "GRAPH_URI": graph_server.uri,
        "GRAPH_USER": "root",
        "GRAPH_PASSWORD": PASSWORD,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        aside(lambda: asyncio.run(migrate(f"sqlite+aiosqlite:///{folder / 'zhanggui.db'}")))
        yield folder


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[FastAPI, KeyRing, AsyncEngine]]:
    engine = create_engine(f"sqlite+aiosqlite:///{folder / 'zhanggui.db'}")
    async with engine.execution_options(**WRITES).begin() as connection:
        ring = await connection.run_sync(verify_keyring)
    app = create_app(ring, engine)
    async with app.router.lifespan_context(app):
        yield app, ring, engine


async def genuine(ring: KeyRing, engine: AsyncEngine, token: str) -> tuple[dict[str, str], str]:
    """The cookies of somebody who is a visitor and an operator, and the token of the operator's page."""
    page, desk = Response(), Response()
    Visitors([ring.derive("visitor_cookie")], secure=False).remember(page, None)
    seats = Desk(engine, settings.desk_hours())
    operators = Operators(ring.derive("operator_cookie"), token, Rates({}, None), seats, secure=False)
    scope = {"type": "http", "headers": [], "client": ("127.0.0.1", 1)}
    await operators.sign_in(Request(scope), desk, token, "小王")
    cookies = {}
    for response in (page, desk):
        name, _, value = response.headers["set-cookie"].partition(";")[0].partition("=")
        cookies[name] = value
    assert set(cookies) == {VISITOR, OPERATOR}
    operator = operators.reader(Request(scope | {"headers": [(b"cookie", f"{OPERATOR}={cookies[OPERATOR]}".encode())]}))
    return cookies, operator.csrf


def dump(folder: Path) -> list[str]:
    """Everything but senders and messages (whoever says something that can be read is one, and has sent one), and how
    far the events were read."""
    said = ('INSERT INTO "channel_account"', 'INSERT INTO "inbox"', 'INSERT INTO "event_cursor"')
    with closing(sqlite3.connect(folder / "zhanggui.db")) as database:
        return [line for line in database.iterdump() if not line.startswith(said)]


async def contents(server: Server) -> Any:
    async with server.graph() as graph:
        nodes = await graph.read("MATCH (n) RETURN labels(n) AS labels, properties(n) AS properties")
        edges = await graph.read("MATCH ()-[r]->() RETURN type(r) AS type, count(r) AS number")
        return sorted(map(str, nodes)), sorted(map(str, edges))


async def test_hostile_requests_find_no_fault_and_change_nothing(
    place: Path, graph_server: Server, rasa: FakeRasa
) -> None:
    async with running(place) as (app, ring, engine):
        attack = Attack(random.Random(SEED), *await genuine(ring, engine, (place / "admin_token").read_text()))  # noqa: S311
        before, known = dump(place), await contents(graph_server)
        seen: Counter[int] = Counter()
        faults: list[tuple[int, str, str, bytes]] = []

        async def attacker(number: int) -> None:
            for _ in range(number):
                scope, body = attack.request()
                asked = dict(scope)
                status = await answer_to(app, scope, body)
                seen[status] += 1
                if status >= 500 or not status:
                    faults.append((status, asked["method"], asked["raw_path"], body[:200]))

        await asyncio.gather(*(attacker(HOSTILE // 10) for _ in range(10)))
        assert not faults, (len(faults), faults[:20])
        assert {200, 401, 404, 405, 422} <= set(seen), seen  # it got in, as far as one gets
        assert dump(place) == before
        assert await contents(graph_server) == known


# ---- over a socket: what no client of HTTP would send ----

POST = b"POST /api/chat HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
RAW = {
    "nothing": b"",
    "no request": b"\x00\x01\x02\r\n\r\n",
    "TLS": bytes.fromhex("160301020001 0001fc0303") + b"\x00" * 500,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n",
    "HTTP/9.9": b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil\r\n\r\n",
    "bare line feeds": b"GET / HTTP/1.1\nHost: x\n\n",
    "a whole address": b"GET http://evil.example/dashboard HTTP/1.1\r\nHost: x\r\n\r\n",
    "a tunnel": b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: x\r\n\r\n",
    "an asterisk": b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "a path of bytes": b"GET /\xff\xfe\x80 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a path with NUL": b"GET /static/\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    "an endless path": b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "an endless header": b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 500_000 + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
    "a header without a name": b"GET / HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n",
    "a header without a colon": b"GET / HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n",
    "a header with NUL": b"GET / HTTP/1.1\r\nHost: x\r\nCookie: a=\x00b\r\n\r\n",
    "a folded header": b"GET / HTTP/1.1\r\nHost: x\r\nCookie: a\r\n b\r\n\r\n",
    "half a header": b"GET / HTTP/1.1\r\nHos",
    "a method of bytes": b"G\xe9T / HTTP/1.1\r\nHost: x\r\n\r\n",
    "half a body": POST + b'Content-Length: 100\r\n\r\n{"text": ',
    "a longer body": POST + b'Content-Length: 2\r\n\r\n{"text": "a"}',
    "a negative length": POST + b"Content-Length: -1\r\n\r\n{}",
    "a length of words": POST + b"Content-Length: ten\r\n\r\n{}",
    "two lengths": POST + b"Content-Length: 2\r\nContent-Length: 9\r\n\r\n{}",
    "a length without end": POST + b"Content-Length: " + b"9" * 60 + b"\r\n\r\n{}",
    "two readings": POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    "a chunk of words": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "an endless chunk": POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{}",
    "many chunks": POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 70_000 + b"0\r\n\r\n",
    "unknown coding": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "expectation": POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
    "one after the other": b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n" * 100,
    "a web socket": b"GET / HTTP/1.1\r\nHost: x\r\n" + UPGRADE + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    "a web socket without a key": b"GET / HTTP/1.1\r\nHost: x\r\n" + UPGRADE + b"\r\n",
    "a web socket of old": b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c, websocket\r\n\r\n",
    "a web socket with a body": POST + UPGRADE + b"Content-Length: 2\r\n\r\n{}",
}  # fmt: skip


async def over_a_socket(port: int, sent: bytes) -> list[int]:
    """The statuses of all answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = b""
    try:
        writer.write(sent)
        writer.write_eof()
        while more := await reader.read(65536):
            received += more
    except ConnectionError:  # it has hung up before the end, as it may
        pass
    finally:
        writer.close()
    return [int(status) for status in re.findall(rb"^HTTP/1\.1 (\d{3})", received, re.MULTILINE)]


async def test_what_no_client_would_send_breaks_nothing(gateway: Gateway, rasa: FakeRasa) -> None:
    source = random.Random(SEED)  # noqa: S311
    cases = [*RAW.items()]
    for name, sent in RAW.items():
        for number in range(2):  # and with some bytes of it changed
            changed = bytearray(sent[:4_000])
            for _ in range(1 + number):
                if changed:
                    changed[source.randrange(len(changed))] = source.randrange(256)
            cases.append((f"{name}, changed {number}", bytes(changed)))
    before = dump(gateway.folder)
    for some in (cases[i : i + 20] for i in range(0, len(cases), 20)):
        async with asyncio.timeout(60):
            answers = await asyncio.gather(*(over_a_socket(gateway.port, sent) for _, sent in some))
        for (name, _), statuses in zip(some, answers, strict=True):
            assert not [status for status in statuses if status >= 500], (name, statuses)
    assert gateway.say("还在吗", "after it all").status_code == 200
    assert dump(gateway.folder) == before


async def test_who_never_finishes_a_request_holds_up_nobody(gateway: Gateway, rasa: FakeRasa) -> None:
    halves = (RAW["half a header"], RAW["half a body"])
    waiting = [await asyncio.open_connection("127.0.0.1", gateway.port) for _ in range(100)]
    try:
        for number, (_, writer) in enumerate(waiting):
            writer.write(halves[number % 2])
            await writer.drain()
        said = await asyncio.to_thread(gateway.say, "我有急事", "somebody else")
        assert said.json()["messages"] == [{"text": "收到：我有急事"}]
    finally:
        for _, writer in waiting:
            writer.close()


async def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardening, "BODY_SECONDS", 0.0)

    async def reads(scope: Any, receive: Any, send: Any) -> None:
        await receive()

    async def never(*_: Any) -> Any:
        await asyncio.Event().wait()

    with pytest.raises(HTTPException) as caught:
        await hardening.Hardening(reads)({"type": "http", "method": "POST", "path": "/"}, never, never)
    assert caught.value.status_code == 408


async def test_who_hangs_up_in_the_middle_of_a_body_is_refused() -> None:
    async def reads(scope: Any, receive: Any, send: Any) -> None:
        await Request(scope, receive).body()

    heard = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])

    async def receive(*_: Any) -> Any:
        return next(heard)

    with pytest.raises(HTTPException) as caught:
        await hardening.Hardening(reads)({"type": "http", "method": "POST", "path": "/"}, receive, receive)
    assert caught.value.status_code == 400
