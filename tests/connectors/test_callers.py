"""Who is calling, and what is made of it: the address, at home or not, the key of a program."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.callers import Callers, address, address_hash
from privacy import KeyRing
from tests.connectors.conftest import Gateway
from tests.connectors.fake_rasa import FakeRasa


@pytest.fixture(scope="module")
def proxied_gateway(rasa_server: FakeRasa, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One behind a proxy, which is the test."""
    gateway = Gateway(tmp_path_factory.mktemp("proxied"), rasa_server.url, TRUSTED_PROXIES="127.0.0.1, 10.0.0.0/8")
    gateway.start()
    yield gateway
    gateway.stop()


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),  # the same caller on a socket of both families
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:2", "2001:db8::/64"),  # one caller has all of them
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("", ""),
        ("unknown", ""),
        ("退货", ""),
    ],
)
def test_an_address_has_one_spelling(host: str, found: str) -> None:
    assert address({"client": (host, 4711)}) == found


def test_what_the_bot_is_told_of_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYRING_FILE", str(tmp_path / "keyring.json"))
    KeyRing.load_or_create(tmp_path / "keyring.json")
    told = [address_hash({"client": (host, 1)}) for host in ("203.0.113.7", "203.0.113.8", "203.0.113.7")]
    assert told[0] == told[2] != told[1]
    assert all(one and len(one) == 16 for one in told)
    assert address_hash({"client": ("127.0.0.1", 1)}) is None  # a proxy, of which nobody spoke
    assert address_hash({"client": None}) is None


@pytest.mark.parametrize(
    ("forwarded", "same"),
    [
        ("203.0.113.7", True),
        ("198.51.100.1, 203.0.113.7", True),  # what stands before is the caller's own invention
        ("127.0.0.1, 203.0.113.7, 10.1.2.3", True),  # a second proxy of ours
        ("203.0.113.7, 198.51.100.1", False),
    ],
)
def test_the_address_that_counts_is_the_last_one_that_is_no_proxy_of_ours(
    proxied_gateway: Gateway, rasa: FakeRasa, forwarded: str, same: bool
) -> None:
    for chain in ("203.0.113.7", forwarded):
        headers = {"X-Forwarded-For": chain}
        httpx.post(f"{proxied_gateway.url}/api/chat", json={"text": "在吗"}, headers=headers, trust_env=False)
    first, second = [call.address for call in rasa.calls]
    assert first
    assert (first == second) is same


def test_without_trusted_proxies_no_header_makes_an_address(gateway: Gateway, rasa: FakeRasa) -> None:
    headers = {"X-Forwarded-For": "203.0.113.7", "Forwarded": "for=203.0.113.7", "X-Real-IP": "203.0.113.7"}
    httpx.post(f"{gateway.url}/api/chat", json={"text": "在吗"}, headers=headers, trust_env=False)
    assert rasa.calls[0].address is None


# ---- a sender of one's own choosing: the key, or this machine's own program ----

LOCAL = {"host": "127.0.0.1:8000"}
SETTINGS: dict[str, Any] = {"bind_host": "127.0.0.1", "public_url": "http://127.0.0.1:8000", "trusted_proxies": ()}


def scope(headers: dict[str, str] | list[tuple[str, str]], **more: Any) -> dict[str, Any]:
    pairs = headers.items() if isinstance(headers, dict) else headers
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs]
    return {"type": "http", "client": ("127.0.0.1", 4711), "http_version": "1.1", "headers": raw, **more}


@pytest.mark.parametrize(
    ("headers", "more"),
    [
        (LOCAL, {}),
        ({"host": "localhost:8000"}, {}),
        ({"host": "[::1]:8000"}, {"client": ("::1", 1)}),
        (LOCAL, {"client": ("::ffff:127.0.0.1", 1)}),
        ({**LOCAL, "origin": "http://127.0.0.1:8000", "sec-fetch-site": "same-origin"}, {}),  # our own page
        ({**LOCAL, "authorization": "Basic eDp5"}, {}),
    ],
)
def test_a_program_of_this_machine_is_at_home(headers: dict[str, str], more: dict[str, Any]) -> None:
    assert Callers("k", **SETTINGS).at_home(scope(headers, **more))


@pytest.mark.parametrize(
    ("headers", "more"),
    [
        (LOCAL, {"client": ("203.0.113.7", 1)}),
        (LOCAL, {"client": None}),
        *(
            ({**LOCAL, name: value}, {})
            for name, value in {
                "X-Forwarded-For": "203.0.113.7",
                "x-forwarded-proto": "https",
                "X-Forwarded-Host": "127.0.0.1",
                "Forwarded": "for=127.0.0.1",
                "X-Real-IP": "127.0.0.1",
                "Via": "1.1 proxy",
                "CF-Connecting-IP": "203.0.113.7",
                "X-Forwarded-Anything": "",
            }.items()
        ),
        (LOCAL, {"http_version": "1.0"}),  # nginx without a setting of its own
        ({"host": "shop.example"}, {}),  # a name that was rebound to this address, or a tunnel
        ({"host": "127.0.0.1.evil.example:8000"}, {}),
        ({"host": "localhost.evil.example"}, {}),
        ({"host": "[::1"}, {}),
        ({"host": ""}, {}),
        ({}, {}),
        ([("Host", "127.0.0.1:8000"), ("Host", "shop.example")], {}),
        *(
            ({**LOCAL, "origin": origin}, {})
            for origin in ("https://evil.example", "null", "", "http://127.0.0.1:9000", "http://[", "http://127.0.0.1")
        ),
        ([*LOCAL.items(), ("Origin", "http://127.0.0.1:8000"), ("Origin", "https://evil.example")], {}),
        ({**LOCAL, "sec-fetch-site": "cross-site"}, {}),
        ({**LOCAL, "sec-fetch-site": "same-site"}, {}),
    ],
)
def test_whoever_may_have_come_from_outside_is_not(headers: Any, more: dict[str, Any]) -> None:
    assert not Callers("k", **SETTINGS).at_home(scope(headers, **more))


@pytest.mark.parametrize(
    "setting",
    [
        {"bind_host": "0.0.0.0"},  # noqa: S104
        {"bind_host": "::"},
        {"bind_host": "192.168.1.5"},
        {"public_url": "https://shop.example"},  # something carries the customers from there to here
        {"public_url": "shop.example"},
        {"public_url": "http://["},
        {"trusted_proxies": ["127.0.0.1"]},
    ],
)
def test_where_customers_come_from_elsewhere_nobody_is_at_home(setting: dict[str, Any]) -> None:
    callers = Callers("k", **SETTINGS | setting)
    assert not callers.at_home(scope(LOCAL))
    assert callers.may_name_sender(scope({**LOCAL, "Authorization": "Bearer k"}))


@pytest.mark.parametrize(
    ("given", "fits"),
    [
        ("Bearer the-key", True),
        ("bearer  the-key ", True),
        ("Bearer the-ke", False),
        ("Bearer the-keyy", False),
        ("Bearer the-k\u00e9y", False),
        ("Basic the-key", False),
        ("the-key", False),
        ("Bearer", False),
        ("", False),
    ],
)
def test_the_key(given: str, fits: bool) -> None:
    assert Callers("the-key", **SETTINGS).has_key(scope({"Authorization": given})) is fits


def test_a_sender_is_a_name_and_no_key(proxied_gateway: Gateway, rasa: FakeRasa) -> None:
    gateway, said = proxied_gateway, {"text": "我的订单到哪了", "sender": "阿花"}
    with httpx.Client(base_url=gateway.url, trust_env=False) as program:
        program.get("/")  # not even with a visitor's cookie
        for headers in ({}, {"Authorization": "Bearer guess"}, {"X-Forwarded-For": "127.0.0.1"}):
            for response in (
                program.post("/api/chat", json=said, headers=headers),
                program.get("/api/chat/updates", params={"sender": "阿花"}, headers=headers),
            ):
                assert (response.status_code, response.json()["error"]["code"]) == (401, "api_key_wanted")
        assert not rasa.calls
        assert program.post("/api/chat", json={"text": "在吗"}).status_code == 200  # a visitor needs none

        file = gateway.folder / "api_key"
        assert file.stat().st_mode & 0o777 == 0o600
        program.headers["Authorization"] = f"Bearer {file.read_text()}"
        assert program.post("/api/chat", json=said).status_code == 200
        assert program.get("/api/chat/updates", params={"sender": "阿花"}).status_code == 200
    assert rasa.calls[-1].address is None  # that of the program is not its customers'
    assert file.read_text() not in gateway.log.read_text()


def test_at_home_no_key_is_asked_for_but_a_page_elsewhere_is_not_at_home(gateway: Gateway, rasa: FakeRasa) -> None:
    said = {"text": "在吗", "sender": "阿花"}
    assert httpx.post(f"{gateway.url}/api/chat", json=said, trust_env=False).status_code == 200
    for headers in ({"Origin": "https://evil.example"}, {"Host": f"evil.example:{gateway.port}"}, {"Via": "1.1 x"}):
        response = httpx.post(f"{gateway.url}/api/chat", json=said, headers=headers, trust_env=False)
        assert response.status_code == 401
    assert len(rasa.calls) == 1
