"""Who a browser is: an opaque id made and signed by the server, so that editing a request makes nobody another.

A cookie carries it. Our page in a frame of another site has none, because browsers keep back cookies of third parties;
it keeps the same signed id itself, as a token, and shows it in a header, which no other page can set.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence

from fastapi import Request, Response
from itsdangerous import BadSignature, TimestampSigner

COOKIE = "zhanggui_visitor"
HEADER = "X-Visitor"
MAX_AGE = 180 * 24 * 3600
"""Seconds after the visitor's last look at the page."""


class Visitors:
    def __init__(self, keys: Sequence[bytes], *, secure: bool) -> None:
        """The last of ``keys`` signs the cookies, each may have signed one; ``secure`` keeps them to https."""
        self._signer = TimestampSigner(list(keys), digest_method=hashlib.sha256, key_derivation="hmac")
        self._secure = secure

    def identify(self, request: Request) -> str | None:
        """The visitor's id; None for a token or cookie that is missing, forged or too old. A token is shown alone."""
        if HEADER in request.headers:
            return self.by_token(request)
        return self._opened(request.cookies.get(COOKIE, ""))

    def by_token(self, request: Request) -> str | None:
        return self._opened(request.headers.get(HEADER, ""))

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

    def _opened(self, signed: str) -> str | None:
        try:
            return self._signer.unsign(signed, max_age=MAX_AGE).decode("ascii")
        except (BadSignature, UnicodeError):
            return None
