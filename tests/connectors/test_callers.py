"""Who is calling, and what is made of it: the address, at home or not, the key of a program."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from connectors.callers import address, address_hash
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
