"""The door of the bot and of the action server: it opens to the house and to nobody else on the machine.

Both environments: Sanic 21 (the bot) and 25 (the action server).
"""

from __future__ import annotations

import hmac
from typing import Any

from sanic import Sanic, response
from sanic.request import Request
from sanic.response import HTTPResponse

import settings


def close(app: Sanic[Any, Any]) -> None:
    """From now on ``app`` answers 401 to every request without the house's token, its health and unknown paths too."""
    (wanted,) = settings.house_headers().values()

    async def only_the_house(request: Request) -> HTTPResponse | None:
        given = request.headers.get("Authorization", "")
        if hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode()):
            return None
        return response.json({"error": "this is a part of the house and answers to nobody else"}, status=401)

    app.on_request(only_the_house)
