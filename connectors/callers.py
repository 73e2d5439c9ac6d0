"""Who is calling: the address that counts, told to the rest of the house as a keyed hash only."""

from __future__ import annotations

import ipaddress
from collections.abc import MutableMapping
from typing import Any

from privacy import blind_index

Scope = MutableMapping[str, Any]
"""Of an ASGI request whose ``client`` a trusted proxy's header has set (``uvicorn``'s ``ProxyHeadersMiddleware``)."""

SHORT = 16
"""Hex digits of an address's hash."""


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
