"""Cursors: what a page of a list ended with, for whoever asks for the next. They hold no secret, and are checked."""

from __future__ import annotations

import base64
import binascii
import json

from mall_adapter.errors import InvalidCursor


def to_cursor(*last: str) -> str:
    return base64.urlsafe_b64encode(json.dumps(last).encode()).decode()


def from_cursor(cursor: str, parts: int) -> list[str]:
    """So many texts. Raises InvalidCursor for one that was not given out."""
    try:
        last = json.loads(base64.b64decode(cursor, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        last = None
    if not isinstance(last, list) or len(last) != parts or not all(isinstance(part, str) and part for part in last):
        raise InvalidCursor("this cursor was not given out")
    return last
