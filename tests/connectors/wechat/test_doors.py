"""The doors at ``/wechat``: WeChat comes in, in the mode that was agreed on, and nobody else does."""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
import time
from collections import Counter
from contextlib import closing
from typing import Any

import httpx
import pytest

from connectors.wechat.words import WORDS
from tests.connectors.conftest import HOSTILE
from tests.connectors.fake_rasa import FakeRasa
from tests.connectors.wechat import stand_in
from tests.connectors.wechat.shop import SUCCESS, Shop
from tests.connectors.wechat.stand_in import APP_ID, TOKEN, envelope, message, query, seal, sign

log = logging.getLogger(__name__)

LI = "oLVPpjqs9BhvzwPj5A-vTYAX3GLc"


async def test_wechat_is_shown_that_this_is_the_house(shop: Shop) -> None:
    async with shop.client() as http:
        greeted = await http.get("/wechat", params=query() | {"echostr": "5837397576500011341"})
        assert (greeted.status_code, greeted.text) == (200, "5837397576500011341")
        assert greeted.headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"signature": sign("another", "1", "2")}, 403),
        ({"signature": "签名"}, 403),
        ({"signature": None}, 400),
        ({"echostr": None}, 400),
        ({"nonce": ""}, 400),
        ({"timestamp": "soon"}, 400),
        ({"timestamp": "１７"}, 400),
        ({"timestamp": "9" * 40}, 400),
        ({"echostr": ["1", "2"]}, 400),
    ],
)
async def test_nobody_else_is_greeted(shop: Shop, change: dict[str, Any], status: int) -> None:
    asked = {name: value for name, value in (query() | {"echostr": "1"} | change).items() if value is not None}
    async with shop.client() as http:
        assert (await http.get("/wechat", params=asked)).status_code == status


async def test_what_is_sealed_comes_in(shop: Shop) -> None:
    assert await shop.customer().says("你好") == "收到：你好"


async def test_a_consent_to_notices_is_noted_once(shop: Shop) -> None:
    li = shop.customer()
    told = stand_in.choices(li.openid, ("S1", "accept"), ("S2", "accept"), ("S3", "reject"))
    assert [await li.sends(told) for _ in range(3)] == [None] * 3
    with closing(sqlite3.connect(shop.gateway.database)) as database:
        assert {*database.execute("SELECT template, used_at FROM wechat_consent")} == {("S1", None), ("S2", None)}


async def test_beside_what_is_sealed_nothing_counts(shop: Shop) -> None:
    """As in compatible mode, which says everything twice."""
    li = shop.customer()
    sealed = seal(li.message("我想退货"))
    plain = message("oSomebodyElse000000000000000", Content="转人工").removeprefix("<xml>").removesuffix("</xml>")
    body = envelope(sealed).replace(f"<ToUserName><![CDATA[{stand_in.HOUSE}]]></ToUserName>", plain)
    response = await shop.post(query(sealed=sealed), body)
    assert response.status_code == 200
    assert [(call.sender, call.text) for call in shop.rasa.calls] == [(f"wechat:{li.openid}", "我想退货")]


def sealed_for_another(li: str) -> tuple[Any, str]:
    sealed = seal(message(li, Content="好"), "wx0000000000000000")
    return query(sealed=sealed), envelope(sealed)


def not_signed(li: str) -> tuple[Any, str]:
    sealed = seal(message(li, Content="好"))
    return query(), envelope(sealed)


def signed_as_in_plain_mode(li: str) -> tuple[Any, str]:
    sealed = seal(message(li, Content="好"))
    asked = query()
    return asked | {"encrypt_type": "aes", "msg_signature": asked["signature"]}, envelope(sealed)


def signed_for_other_words(li: str) -> tuple[Any, str]:
    return query(sealed=seal(message(li, Content="好"))), envelope(seal(message(li, Content="坏")))


def old(li: str) -> tuple[Any, str]:
    sealed = seal(message(li, Content="好"))
    return query(at=time.time() - 3600, sealed=sealed), envelope(sealed)


def of_tomorrow(li: str) -> tuple[Any, str]:
    sealed = seal(message(li, Content="好"))
    return query(at=time.time() + 3600, sealed=sealed), envelope(sealed)


def in_plain_mode(li: str) -> tuple[Any, str]:
    return query(), message(li, Content="好")


def in_plain_mode_but_said_to_be_sealed(li: str) -> tuple[Any, str]:
    body = message(li, Content="好")
    return query(sealed=body), body


def sealed_twice_over(li: str) -> tuple[Any, str]:
    one, two = seal(message(li, Content="好")), seal(message(li, Content="坏"))
    return query(sealed=one), envelope(one, f"<Encrypt><![CDATA[{two}]]></Encrypt>")


def sealed_nonsense(_: str) -> tuple[Any, str]:
    sealed = seal("no xml")
    return query(sealed=sealed), envelope(sealed)


def signed_nonsense(_: str) -> tuple[Any, str]:
    return query(sealed="退货"), envelope("退货")


def sealed_nothing(_: str) -> tuple[Any, str]:
    return query(sealed=""), envelope("")


def signed_twice(li: str) -> tuple[Any, str]:
    sealed = seal(message(li, Content="好"))
    return [*query(sealed=sealed).items(), ("msg_signature", "0" * 40)], envelope(sealed)


def with_entities(_: str) -> tuple[Any, str]:
    bomb = "<!DOCTYPE xml [" + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 9)) + "]>"
    sealed = seal(bomb + message(LI, Content="&a8;"))
    return query(sealed=sealed), envelope(sealed)


def giant(_: str) -> tuple[Any, str]:
    sealed = "A" * 300_000
    return query(sealed=sealed), envelope(sealed)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (sealed_for_another, 400),
        (not_signed, 400),
        (signed_as_in_plain_mode, 403),
        (signed_for_other_words, 403),
        (old, 403),
        (of_tomorrow, 403),
        (in_plain_mode, 403),
        (in_plain_mode_but_said_to_be_sealed, 403),
        (sealed_twice_over, 400),
        (sealed_nonsense, 400),
        (signed_nonsense, 400),
        (sealed_nothing, 403),
        (signed_twice, 400),
        (with_entities, 400),
        (giant, 413),
    ],
)
async def test_nothing_else_comes_in(shop: Shop, said: Any, status: int) -> None:
    response = await shop.post(*said(shop.customer().openid))
    assert response.status_code == status
    assert shop.rasa.calls == []


@pytest.mark.parametrize(("said", "told"), [(in_plain_mode, WORDS.health.plain), (old, WORDS.health.clock)])
async def test_what_wechat_itself_does_wrong_is_told_to_operators(shop: Shop, said: Any, told: str) -> None:
    await shop.post(*said(LI))
    health = await shop.health()
    assert {"part": "wechat", "text": told} in health["warnings"] and health["parts"]["wechat"] == "ok"


# ---- plain mode ----


async def test_a_signature_that_somebody_has_seen_carries_no_other_words(small_shop: Shop, rasa: FakeRasa) -> None:
    li = small_shop.customer()
    asked, said = query(), li.message("我想退货")
    assert (await small_shop.post(asked, said)).status_code == 200
    assert (await small_shop.post(asked, said)).status_code == 200  # WeChat may come again
    assert (await small_shop.post(asked, li.message("我想换货"))).status_code == 403
    assert rasa.texts() == ["我想退货"]


async def test_what_is_said_again_late_is_not_answered_again(small_shop: Shop, rasa: FakeRasa) -> None:
    said = message(LI, at=time.time() - 100, Content="我的订单")
    assert "我的订单" in (await small_shop.deliver(said)).text
    assert (await small_shop.deliver(said)).text == SUCCESS


async def test_without_a_key_nothing_that_is_sealed_is_taken(small_shop: Shop, rasa: FakeRasa) -> None:
    sealed = seal(message(LI, Content="好"))
    assert (await small_shop.post(query(sealed=sealed), envelope(sealed))).status_code == 400
    assert {"part": "wechat", "text": WORDS.health.sealed} in (await small_shop.health())["warnings"]
    assert rasa.calls == []


# ---- hostile requests ----

SEED = 20261130

PIECES = [
    *("", "\x00", "\x08", "]]>", "<![CDATA[", "<xml>", "</xml>", "<Encrypt>", "&amp;", "&lol;", "<!--", "<?xml?>"),
    *("<!DOCTYPE a [<!ENTITY lol 'x'>]>", "<MsgType>text</MsgType>", "<FromUserName>a</FromUserName>", "退货" * 50),
    *("\ud800", "\ufffe", "9" * 40, "-1", "null", "{}", "A" * 3000, "%s%n", "' OR 1=1 --", "\r\n", "🧨"),
]


def hostile(dice: random.Random, earlier: list[tuple[Any, bytes]]) -> tuple[Any, bytes]:
    """A request that was good before something happened to it."""
    kinds: list[dict[str, Any]] = [
        {"Content": dice.choice(PIECES)},
        {"MsgType": dice.choice(["image", "voice", "location", "link", "file", "", "event"])},
        {
            "MsgType": "event",
            "Event": dice.choice(["subscribe", "SCAN", "CLICK", "x"]),
            "EventKey": dice.choice(PIECES),
        },
    ]
    plain = message(dice.choice([LI, "o", dice.choice(PIECES)]), **dice.choice(kinds))
    match dice.randrange(10):
        case 0 if earlier:
            return dice.choice(earlier)  # a replay
        case 1:
            plain = plain[: dice.randrange(len(plain))]
        case 2:
            place = dice.randrange(len(plain))
            plain = plain[:place] + dice.choice(PIECES) + plain[place:]
        case 3:
            name = dice.choice(["MsgType", "FromUserName", "CreateTime", "Content", "MsgId"])
            plain = plain.replace("</xml>", f"<{name}>{dice.choice(PIECES)}</{name}></xml>")
        case 4:
            plain = plain.replace("<", "", 1)
    raw = plain.encode(errors="surrogatepass")
    sealed = seal(raw, dice.choice(["", "wx1"]) if dice.random() < 0.1 else APP_ID)
    asked: Any = query(sealed=sealed)
    body = envelope(sealed).encode()
    match dice.randrange(20):
        case 0:
            asked["msg_signature"] = dice.choice([*PIECES[:-1], "0" * 40])
        case 1:
            asked["timestamp"] = dice.choice(["", "0", "-1", "9" * 20, "NaN", "1e9"])
        case 2:
            del asked[dice.choice(["msg_signature", "timestamp", "nonce"])]
        case 3:
            body = body[: dice.randrange(len(body))]
        case 4:
            body = raw  # not sealed
        case 5:
            flipped = bytearray(body)
            flipped[dice.randrange(len(body))] ^= 1 << dice.randrange(8)
            body = bytes(flipped)
        case 6:
            body = body.replace(b"</xml>", f"<Encrypt>{sealed}</Encrypt></xml>".encode())
        case 7 if dice.random() < 0.1:
            body += b" " * 300_000
        case 8:
            asked = [*asked.items(), *asked.items()]
    if isinstance(asked, dict):
        asked = {name: value.encode(errors="ignore").decode() for name, value in asked.items()}
        if dice.random() < 0.02:
            asked["msg_signature"] = sign(TOKEN, asked.get("timestamp", ""), asked.get("nonce", ""), "")
    return asked, body


async def test_hostile_requests_do_no_harm(shop: Shop) -> None:
    dice = random.Random(SEED)  # noqa: S311
    earlier: list[tuple[Any, bytes]] = []
    for _ in range(HOSTILE):
        earlier.append(hostile(dice, earlier))
    seen: Counter[int] = Counter()
    at_once = asyncio.Semaphore(16)
    async with httpx.AsyncClient(timeout=60, trust_env=False, base_url=shop.gateway.url) as http:

        async def send(asked: Any, body: bytes) -> None:
            async with at_once:
                response = await http.post("/wechat", params=asked, content=body)
            seen[response.status_code] += 1
            assert response.status_code < 500, (asked, body)
            assert TOKEN not in response.text and APP_ID not in response.text

        started = time.monotonic()
        await asyncio.gather(*(send(*each) for each in earlier))
        log.info("%d in %.1f s: %s", HOSTILE, time.monotonic() - started, dict(seen))
        assert {200, 400, 403, 413} <= seen.keys()
    assert await shop.customer().says("还在吗") == "收到：还在吗"
    told = shop.gateway.log.read_text()
    assert "Traceback" not in told and TOKEN not in told and LI[:-2] not in told
