"""Who may sit at the service desk: signing in with the house's token, a signed cookie, and posts that only its page can
make."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from contextlib import suppress
from dataclasses import dataclass

from fastapi import Request, Response
from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlalchemy.exc import SQLAlchemyError

from connectors.callers import address, from_own_page
from connectors.rates import Rates
from mall_adapter import Desk
from storage import Actor, Role

COOKIE = "zhanggui_operator"
PATH = "/dashboard"
CHANNEL = "dashboard"
SHIFT = 12 * 3600
"""Seconds that a sign-in lasts."""


class Refused(Exception):
    """What a page is told: an HTTP status, a stable code, and words."""

    def __init__(self, status: int, code: str, words: str, retry_after: int | None = None) -> None:
        super().__init__(code)
        self.status, self.code, self.words, self.retry_after = status, code, words, retry_after


@dataclass(frozen=True)
class Operator:
    name: str
    csrf: str
    principal_id: str

    @property
    def actor(self) -> Actor:
        return Actor(Role.OPERATOR, self.principal_id, channel=CHANNEL)


class Operators:
    def __init__(self, key: bytes, token: str, rates: Rates, desk: Desk, *, secure: bool) -> None:
        """``key`` signs the cookies, together with the token: another token signs everybody out."""
        self._token = token.encode()
        signing = hmac.new(key, self._token, hashlib.sha256).digest()
        self._signer = URLSafeTimedSerializer(signing, signer_kwargs={"digest_method": hashlib.sha256})
        self._secure = secure
        self._rates = rates
        self._desk = desk

    async def sign_in(self, request: Request, response: Response, token: str, name: str) -> None:
        """Whoever has the token is an operator, by the name that they give. Raises Refused for a wrong token, and for
        any after too many wrong ones from the same address."""
        self._same_origin(request)
        caller = address(request.scope)
        # each is taken for a wrong one at first, so that many at once are not more tries
        if seconds := await self._rates.spend("wrong_tokens", caller):
            raise Refused(429, "too_many_tries", "试的次数太多了，请过几分钟再来。", seconds)
        if not hmac.compare_digest(token.encode("utf-8", "replace"), self._token):
            raise Refused(401, "wrong_token", "口令不对，请核对后再试。")
        await self._rates.forgive("wrong_tokens", caller)
        actor = await self._desk.operator(name, CHANNEL)
        told = {"name": name, "csrf": secrets.token_urlsafe(16), "principal_id": actor.principal_id}
        value = self._signer.dumps(told)
        response.set_cookie(
            COOKIE, value, max_age=SHIFT, path=PATH, httponly=True, samesite="strict", secure=self._secure
        )

    def sign_out(self, response: Response) -> None:
        response.delete_cookie(COOKIE, path=PATH, httponly=True, samesite="strict", secure=self._secure)

    def identify(self, request: Request) -> Operator | None:
        """Who is signed in; None for a cookie that is missing, forged, too old or of an earlier release."""
        if getattr(request.state, "left", False):
            return None
        try:
            return Operator(**self._signer.loads(request.cookies.get(COOKIE, ""), max_age=SHIFT))
        except (BadSignature, TypeError):
            return None

    async def look(self, request: Request) -> None:
        """Before each request: whoever is no operator any more is signed out."""
        if operator := self.identify(request):
            with suppress(SQLAlchemyError, OSError):  # nothing can be done without the database, but pages say so
                request.state.left = not await self._desk.holds(operator.actor)

    def reader(self, request: Request) -> Operator:
        if (operator := self.identify(request)) is None:
            raise Refused(401, "signed_out", "登录已过期，请重新登录。")
        return operator

    def writer(self, request: Request) -> Operator:
        """Who is signed in, if the request comes from a page of ours."""
        operator = self.reader(request)
        self._same_origin(request)
        if not hmac.compare_digest(request.headers.get("X-CSRF-Token", "").encode(), operator.csrf.encode()):
            raise Refused(403, "forged", "这个请求不是从本页面发出的。")
        return operator

    @staticmethod
    def _same_origin(request: Request) -> None:
        if not from_own_page(request.headers):
            raise Refused(403, "foreign_page", "这个请求不是从本页面发出的。")
