"""The doors of the house for WeChat's own server: ``GET`` and ``POST /wechat``.

A message is written down before it is acknowledged. An answer that is ready in time goes back in the same request;
else WeChat hears ``success``, and the answer is sent by itself. Where the account cannot do that, the request is left
without an answer, so that WeChat comes again, twice, about five seconds apart.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, HTTPException, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import QueryParams

from connectors.channel import Gone, Receive, Shared
from connectors.inbound import Inbound
from connectors.rendering import Bubble
from connectors.wechat import xml
from connectors.wechat.account import SENDING, Account
from connectors.wechat.consents import Consents
from connectors.wechat.crypto import Envelope, Unreadable, signature
from connectors.wechat.parsing import NAME, Parsed, parse
from connectors.wechat.replies import compose
from connectors.wechat.verification import Verifier, one
from connectors.wechat.windows import Windows
from connectors.wechat.words import WORDS
from storage import WRITES, outbox

log = logging.getLogger(__name__)

REPLY_SECONDS = 4.5
"""From the request on. After five WeChat hangs up."""

LEFT_SECONDS = 6.0
"""Of a request that is to get no answer."""

COMES_AGAIN = 9
"""Seconds after a message until which WeChat will come again if it gets no answer now."""

AGAIN_MOST = 60
"""Seconds after a message in which WeChat may say it again."""

KEPT = timedelta(hours=24)
"""After which what had no room in the reply is not sent any more."""


class Callback:
    def __init__(
        self,
        receive: Receive,
        shared: Shared,
        account: Account,
        windows: Windows,
        consents: Consents,
        token: str,
        envelope: Envelope | None,
    ) -> None:
        self._receive = receive
        self._shared = shared
        self._account = account
        self._windows = windows
        self._consents = consents
        self._token = token
        self._envelope = envelope
        self._verifier = Verifier(token)

    def router(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/wechat", self._greet, methods=["GET"])
        router.add_api_route("/wechat", self._take, methods=["POST"])
        return router

    def check(self) -> list[str]:
        """What WeChat itself does that an operator has to see to."""
        return self._verifier.check()

    async def _greet(self, request: Request) -> Response:
        """WeChat asks whether this is the server that the operator has named."""
        query = request.query_params
        self._verifier.verify(query, "signature")
        return Response(one(query, "echostr"), media_type="text/plain")

    async def _take(self, request: Request) -> Response:
        started = asyncio.get_running_loop().time()
        query, body = request.query_params, await request.body()
        try:
            message = self._opened(query, body)
            parsed = parse(xml.read(message), xml.rows(message))
        except (xml.Malformed, Unreadable) as error:
            log.warning("not a message of WeChat: %s", error or type(error).__name__)
            raise HTTPException(400) from None
        if parsed.given:
            await self._windows.open(parsed.account, parsed.given, parsed.at)
        if parsed.choices:
            await self._consents.note(parsed.account, parsed.choices, parsed.at)
        if parsed.inbound is None:
            return _success()
        timestamp = int(one(query, "timestamp"))
        return await self._answered(parsed, parsed.inbound, timestamp, started, request.is_disconnected)

    # ---- is it WeChat, and does it say so itself? ----

    def _opened(self, query: QueryParams, body: bytes) -> bytes:
        """What is said, in the mode that was agreed on: with a key nothing counts but what was sealed with it."""
        if self._envelope is None:
            self._verifier.verify(query, "signature", body)
            if "Encrypt" in xml.read(body):
                self._verifier.warn(WORDS.health.sealed)
                raise xml.Malformed("sealed, and there is no key")
            return body
        try:
            sealed = xml.read(body).get("Encrypt", "")
        except xml.Malformed:  # of whom, nobody knows
            raise HTTPException(400) from None
        if not sealed:
            self._verifier.verify(query, "signature", body)
            self._verifier.warn(WORDS.health.plain)
            raise HTTPException(403)
        self._verifier.verify(query, "msg_signature", body, sealed)
        return self._envelope.open(sealed)

    # ---- the answer ----

    async def _answered(self, parsed: Parsed, inbound: Inbound, timestamp: int, started: float, gone: Gone) -> Response:
        alone, elapsed = not self._account.may(SENDING), max(time.time(), timestamp) - parsed.at.timestamp()
        until = timedelta(seconds=3 * LEFT_SECONDS if alone else REPLY_SECONDS + 0.5)
        inbound = replace(inbound, reply_until=datetime.now(UTC) + until)
        if not await self._receive(inbound) and elapsed > AGAIN_MOST:
            return _success()  # whoever says it again so late is not WeChat
        spent = asyncio.get_running_loop().time() - started
        bubbles = await self._shared.answer(inbound, max(REPLY_SECONDS - spent, 0.1), gone)
        if bubbles is None:
            if not alone:
                return _success()
            if elapsed >= COMES_AGAIN:
                return self._reply(parsed, WORDS.waits)
            await asyncio.sleep(LEFT_SECONDS - REPLY_SECONDS)  # nobody listens any more
            return _success()
        text, rest = compose(bubbles, self._shared.public_url, more=not alone)
        if rest:
            await self._send_behind(inbound, rest)
        return self._reply(parsed, text) if text else _success()

    def _reply(self, parsed: Parsed, text: str) -> Response:
        now, names = int(time.time()), {"ToUserName": parsed.account, "FromUserName": parsed.house}
        said = xml.write({**names, "CreateTime": now, "MsgType": "text", "Content": text})
        if self._envelope:
            sealed, nonce = self._envelope.seal(said.encode()), secrets.token_hex(8)
            proof = signature(self._token, str(now), nonce, sealed)
            said = xml.write({"Encrypt": sealed, "MsgSignature": proof, "TimeStamp": now, "Nonce": nonce})
        return Response(said, media_type="application/xml")

    async def _send_behind(self, inbound: Inbound, bubbles: Sequence[Bubble]) -> None:
        """What the reply cannot carry, again on its way; asked for the same message again, nothing is added."""
        now = datetime.now(UTC)
        async with AsyncSession(self._shared.engine.execution_options(**WRITES)) as session, session.begin():
            for number, bubble in enumerate(bubbles):
                message = outbox.Message(
                    channel=NAME,
                    recipient=inbound.recipient,
                    order_key=inbound.sender,
                    kind="answer",
                    payload=asdict(bubble),
                    dedupe=f"{inbound.account} {inbound.message_id} rest-{number}",
                    not_before=now + timedelta(seconds=1),  # behind the reply
                    expires_at=now + KEPT,
                )
                await outbox.enqueue(session, message, now)


def _success() -> Response:
    return Response("success", media_type="text/plain")
