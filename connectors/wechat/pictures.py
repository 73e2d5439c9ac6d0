"""Pictures that the house has drawn; others are shown by their address."""

from __future__ import annotations

import asyncio

import settings
from connectors.messages import PICTURE


async def drawn(picture: str | None) -> bytes | None:
    """The content of one that is still there."""
    if picture is None or not PICTURE.fullmatch(picture):
        return None
    try:
        return await asyncio.to_thread((settings.pictures_dir() / picture).read_bytes)
    except FileNotFoundError:
        return None
