"""Who is calling: the address that counts, whether the call comes from this machine itself, and the API key.

The rest of the house is told an address as a keyed hash only.
"""

from __future__ import annotations

import hmac
import ipaddress
import time
from collections.abc import Iterable, MutableMapping
from typing import Any, Self
from urllib.parse import urlsplit

from starlette.datastructures import Headers

import settings
from privacy.columns import blind_index

Scope = MutableMapping[str, Any]
"""Of an ASGI request whose ``client`` a trusted proxy's header has set (``uvicorn``'s ``ProxyHeadersMiddleware``)."""

SHORT = 16
"""Hex digits of an address's hash."""

RELAYED = {"forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip"}
"""Headers that a proxy adds, besides every X-Forwarded-…"""

REMIND_SECONDS = 600.0
"""How long an operator is told of a proxy after the last request through it."""


def address(scope: Scope) -> str:
    """The caller's address in one spelling; of IPv6 the network of 64 bits, all of which one caller may have.

    ``""`` for a peer that has none, or none that can be read.
    """
    host = (scope.get("client") or ("",))[0]
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return ""
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is None:
            return str(ipaddress.ip_network((found.packed, 64), strict=False)) if not found.is_loopback else str(found)
        found = found.ipv4_mapped
    return str(found)


def is_loopback(host: str) -> bool:
    """Whether an address, or the name of one, is this machine's own."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.rstrip(".").lower() == "localhost"


def address_hash(scope: Scope) -> str | None:
    """What the bot is told of a customer's address; None where it is not known.

    Behind a proxy that ``TRUSTED_PROXIES`` does not name everybody would seem to be at loopback: better no address than
    one that all customers share.
    """
    found = address(scope)
    return blind_index(found, "caller.address")[:SHORT] if found and not is_loopback(found) else None


def from_own_page(headers: Headers) -> bool:
    """False where a browser says that a page of another site is behind the request; programs say nothing."""
    origins = headers.getlist("Origin")
    if any(origin.partition("://")[2] != headers.get("Host") for origin in origins):
        return False
    return headers.get("Sec-Fetch-Site", "same-origin") == "same-origin"


def _hostname(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


class Callers:
    """Who may speak as a sender of one's own choosing: who brings the API key, and this machine's own programs."""

    def __init__(self, key: str, bind_host: str, public_url: str, trusted_proxies: Iterable[str]) -> None:
        self._key = key.encode()
        # Where customers come through a proxy, all of them come from its address
        self._proxies = bool(list(trusted_proxies))
        self._alone = is_loopback(bind_host) and is_loopback(_hostname(public_url)) and not self._proxies
        self._forwarded = -REMIND_SECONDS  # when a proxy of which nobody spoke has sent something (monotonic)

    @classmethod
    def from_settings(cls) -> Self:
        return cls(settings.api_key(), settings.bind_host(), settings.public_url(), settings.trusted_proxies())

    def has_key(self, scope: Scope) -> bool:
        scheme, _, given = Headers(scope=scope).get("Authorization", "").partition(" ")
        return hmac.compare_digest(given.strip().encode("latin-1"), self._key) and scheme.lower() == "bearer"

    def at_home(self, scope: Scope) -> bool:
        """Whether a program of this machine calls, through no proxy, and no page of another site.

        A page that has rebound its name to this address shows by its Host; a proxy that adds no header of its own often
        still speaks HTTP/1.0, as no other program of today does.
        """
        headers = Headers(scope=scope)
        return (
            self._alone
            and is_loopback(address(scope))
            and scope["http_version"] != "1.0"
            and not any(name in RELAYED or name.startswith("x-forwarded") for name in headers)
            and len(headers.getlist("Host")) == 1
            and is_loopback(_hostname(f"//{headers['Host']}"))
            and from_own_page(headers)
        )

    def look_for_proxy(self, scope: Scope) -> None:
        """Takes notice of a proxy near by that ``TRUSTED_PROXIES`` does not name."""
        if not self._proxies and Headers(scope=scope).get("X-Forwarded-For"):
            found = address(scope)
            if found and ipaddress.ip_network(found).is_private:
                self._forwarded = time.monotonic()

    def check(self) -> list[str]:
        """What an operator has to know."""
        if time.monotonic() - self._forwarded >= REMIND_SECONDS:
            return []
        return [
            "前面有代理在转发请求，但没有设置 TRUSTED_PROXIES，所有顾客会被当成同一个地址 /"
            " a proxy forwards requests, but TRUSTED_PROXIES does not name it: all customers count as one address"
        ]

    def may_name_sender(self, scope: Scope) -> bool:
        return self.has_key(scope) or self.at_home(scope)
