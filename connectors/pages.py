"""The house's pages as they are sent: with a sign on them while it is the demo mall."""

from __future__ import annotations

import asyncio
import logging
import time

from fastapi import Response
from fastapi.responses import HTMLResponse
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from mall_adapter import is_demo

log = logging.getLogger(__name__)

HIDDEN, SHOWN = '<p id="demo" role="note" hidden>', '<p id="demo" role="note">'

KNOWN_SECONDS = 5.0
PATIENCE = 2.0


class Pages:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._demo = False
        self._asked = -KNOWN_SECONDS

    async def page(self, text: str, **headers: str) -> Response:
        return HTMLResponse(text.replace(HIDDEN, SHOWN) if await self._is_demo() else text, headers=headers)

    async def _is_demo(self) -> bool:
        """As it was when the database last answered: pages come without it, too."""
        if time.monotonic() - self._asked >= KNOWN_SECONDS:
            self._asked = time.monotonic()
            try:
                async with asyncio.timeout(PATIENCE):
                    self._demo = await is_demo(self._engine)
            except (SQLAlchemyError, OSError) as error:
                log.warning("is it the demo mall? the database does not answer: %s", type(error).__name__)
        return self._demo
