"""The door at which WeCom rings: ``GET`` and ``POST /wechat/kf``, always sealed. What was written stands elsewhere."""

from __future__ import annotations

import logging

from fastapi import APIRouter, HTTPException, Request, Response

from connectors.wechat import xml
from connectors.wechat.crypto import Envelope, Unreadable
from connectors.wechat.kf.reading import Reading
from connectors.wechat.verification import Verifier, one

log = logging.getLogger(__name__)

PATH = "/wechat/kf"
BELL = "kf_msg_or_event"


class Callback:
    def __init__(self, reading: Reading, token: str, envelope: Envelope) -> None:
        self._reading = reading
        self._verifier = Verifier(token)
        self._envelope = envelope

    def router(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route(PATH, self._greet, methods=["GET"])
        router.add_api_route(PATH, self._ring, methods=["POST"])
        return router

    def check(self) -> list[str]:
        """What WeCom itself does that an operator has to see to."""
        return self._verifier.check()

    async def _greet(self, request: Request) -> Response:
        """WeCom asks whether this is the server that the operator has named."""
        query = request.query_params
        sealed = one(query, "echostr")
        self._verifier.verify(query, "msg_signature", b"", sealed)
        return Response(self._opened(sealed), media_type="text/plain")

    async def _ring(self, request: Request) -> Response:
        """It is written down before WeCom hears anything."""
        query, body = request.query_params, await request.body()
        try:
            sealed = xml.read(body).get("Encrypt", "")
            self._verifier.verify(query, "msg_signature", body, sealed)
            fields = xml.read(self._opened(sealed))
        except xml.Malformed as error:
            log.warning("no bell of WeCom's: %s", error)
            raise HTTPException(400) from None
        if fields.get("Event") == BELL and (open_kfid := fields.get("OpenKfId")):
            await self._reading.rung(open_kfid, fields.get("Token") or None)
        return Response("success", media_type="text/plain")

    def _opened(self, sealed: str) -> bytes:
        try:
            return self._envelope.open(sealed)
        except Unreadable:
            raise HTTPException(400) from None
