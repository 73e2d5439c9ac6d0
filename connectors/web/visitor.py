"""Who a browser is: an opaque id made and signed by the server, so that editing a request makes nobody another."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence

from fastapi import Request, Response
from itsdangerous import BadSignature, TimestampSigner

COOKIE = "zhanggui_visitor"
MAX_AGE = 180 * 24 * 3600
"""Seconds after the visitor's last look at the page."""


class Visitors:
    def __init__(self, keys: Sequence[bytes], *, secure: bool) -> None:
        """The last of ``keys`` signs the cookies, each may have signed one; ``secure`` keeps them to https."""
        self._signer = TimestampSigner(list(keys), digest_method=hashlib.sha256, key_derivation="hmac")
        self._secure = secure

    def identify(self, request: Request) -> str | None:
        """The visitor's id; None for a cookie that is missing, forged or too old."""
        try:
            return self._signer.unsign(request.cookies.get(COOKIE, ""), max_age=MAX_AGE).decode("ascii")
        except (BadSignature, UnicodeError):
            return None

    def remember(self, response: Response, visitor: str | None) -> str:
        """Sign a fresh cookie for this visitor, or for a new one; returns the id."""
        visitor = visitor or secrets.token_urlsafe(16)
        response.set_cookie(
            COOKIE,
            self._signer.sign(visitor).decode("ascii"),
            max_age=MAX_AGE,
            httponly=True,
            samesite="lax",
            secure=self._secure,
        )
        return visitor
