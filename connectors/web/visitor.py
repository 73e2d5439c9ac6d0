"""Who a browser is: an opaque id made and signed by the server, so that editing a request makes nobody another.

A cookie carries it. Our page in a frame of another site has one for that site alone (``Partitioned``), where a browser
knows such cookies and the house is reached by https; else it keeps the same signed id itself, as a token, and shows it
in a header.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence

from fastapi import Request, Response
from itsdangerous import BadSignature, TimestampSigner

from connectors.callers import from_own_page

COOKIE = "zhanggui_visitor"
FRAMED = "zhanggui_framed"
"""The cookie of our page in a frame. The page around it could send it along, too: it counts for our own page only."""

HEADER = "X-Visitor"
MAX_AGE = 180 * 24 * 3600
"""Seconds after the visitor's last look at the page."""


class Visitors:
    def __init__(self, keys: Sequence[bytes], *, secure: bool) -> None:
        """The last of ``keys`` signs the cookies, each may have signed one; ``secure`` keeps them to https."""
        self._signer = TimestampSigner(list(keys), digest_method=hashlib.sha256, key_derivation="hmac")
        self._secure = secure

    def identify(self, request: Request) -> str | None:
        """The visitor's id; None for a token or cookie that is missing, forged or too old. A token goes before them."""
        if HEADER in request.headers:
            return self._opened(request.headers[HEADER])
        own = self._opened(request.cookies.get(COOKIE, ""))
        return own or (self.framed(request) if from_own_page(request.headers) else None)

    def framed(self, request: Request) -> str | None:
        """The visitor for whose page in a frame the request asks."""
        return self._opened(request.cookies.get(FRAMED, ""))

    def token(self, visitor: str | None) -> str:
        """A freshly signed one for this visitor, or for a new one."""
        return self._signer.sign(visitor or secrets.token_urlsafe(16)).decode("ascii")

    def remember(self, response: Response, visitor: str | None) -> str:
        """Sign a fresh cookie for this visitor, or for a new one; returns the id."""
        visitor = visitor or secrets.token_urlsafe(16)
        response.set_cookie(
            COOKIE, self.token(visitor), max_age=MAX_AGE, httponly=True, samesite="lax", secure=self._secure
        )
        return visitor

    def remember_framed(self, response: Response, visitor: str | None) -> None:
        """The same for our page in a frame, as far as the browser keeps it there."""
        # Starlette writes no Partitioned yet
        rules = f"Max-Age={MAX_AGE}; Path=/; HttpOnly; SameSite=None; Secure; Partitioned"
        response.headers.append("Set-Cookie", f"{FRAMED}={self.token(visitor)}; {rules}")

    def _opened(self, signed: str) -> str | None:
        try:
            return self._signer.unsign(signed, max_age=MAX_AGE).decode("ascii")
        except (BadSignature, UnicodeError):
            return None
