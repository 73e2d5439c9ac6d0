"""Whether a request comes from Tencent's server: signed with the word that both know, of our time, and not somebody
else's body under a signature that was seen."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict

from fastapi import HTTPException
from starlette.datastructures import QueryParams

from connectors.wechat.crypto import signed
from connectors.wechat.words import WORDS

FRESH = 300
"""Seconds by which their clock and ours may differ: an older request is no request."""

KNOWN_MOST = 20_000
"""Requests that are remembered: so many are never made within the time."""

TROUBLE_LASTS = 600.0
"""Seconds for which what was wrong with a signed request is worth a warning."""


class Verifier:
    def __init__(self, token: str) -> None:
        self._token = token
        self._known: OrderedDict[tuple[str, str], tuple[float, bytes]] = OrderedDict()
        self._trouble: dict[str, float] = {}  # what operators have to know, and when (monotonic) it was last seen

    def check(self) -> list[str]:
        """What their server itself does that an operator has to see to."""
        return [words for words, at in self._trouble.items() if time.monotonic() < at + TROUBLE_LASTS]

    def warn(self, words: str) -> None:
        self._trouble[words] = time.monotonic()

    def verify(self, query: QueryParams, name: str, body: bytes = b"", *sealed: str) -> None:
        """``name`` is the parameter that holds the signature. Raises HTTPException: 400 or 403."""
        given, timestamp, nonce = (one(query, each) for each in (name, "timestamp", "nonce"))
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
            raise HTTPException(400)
        if not signed(given, self._token, timestamp, nonce, *sealed):
            raise HTTPException(403)
        if abs(time.time() - int(timestamp)) > FRESH:
            self.warn(WORDS.health.clock)
            raise HTTPException(403)
        if not self._first_or_again(given, nonce, body):
            raise HTTPException(403)

    def _first_or_again(self, given: str, nonce: str, body: bytes) -> bool:
        """A signature in plain mode does not cover the body: who has seen one could send another body with it. WeChat
        itself may send the same again."""
        now, digest = time.monotonic(), hashlib.sha256(body).digest()
        while self._known and (len(self._known) > KNOWN_MOST or next(iter(self._known.values()))[0] < now - 2 * FRESH):
            self._known.popitem(last=False)
        return self._known.setdefault((given, nonce), (now, digest))[1] == digest


def one(query: QueryParams, name: str) -> str:
    """The parameter, which is there once. Raises HTTPException."""
    values = query.getlist(name)
    if len(values) != 1 or not values[0]:
        raise HTTPException(400)
    return values[0]
