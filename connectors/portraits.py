"""A salesperson's portrait for their card, of a picture that they have sent."""

from __future__ import annotations

import asyncio
from io import BytesIO

from PIL import Image, ImageOps

from connectors.image_files import NoPicture, rewritten
from mall_adapter.cards import Cards

SIDE = 480
"""Pixels of what is kept: the middle of the picture, as a square."""


async def take_portrait(cards: Cards, sender: str, content: bytes) -> bool:
    """Whether the sender has been asked for one, and it could be read: then it is theirs now."""
    if not await cards.awaits_portrait(sender):
        return False
    try:
        jpeg = await asyncio.to_thread(_square, content)
    except NoPicture:
        return False
    await cards.take_portrait(sender, jpeg)
    return True


def _square(content: bytes) -> bytes:
    """Raises NoPicture."""
    written = BytesIO()
    ImageOps.fit(Image.open(BytesIO(rewritten(content))), (SIDE, SIDE)).save(written, "JPEG", quality=82)
    return written.getvalue()
