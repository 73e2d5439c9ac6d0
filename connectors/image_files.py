"""Pictures that people send, written anew, so that nothing else is ever kept or shown."""

from __future__ import annotations

from io import BytesIO

from PIL import Image, ImageOps

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")

MOST_PIXELS = 25_000_000
"""Of a picture that is read, 100 MB while it is. Our own page makes it smaller before it sends it."""

LONGEST = 2048
"""Pixels of the longer side of what is kept."""


class NoPicture(Exception):
    """It cannot be read, is too large, or is of another format."""


def rewritten(content: bytes) -> bytes:
    """The picture as a JPEG, upright and without what was noted in it (where it was taken, by which camera); of one
    that moves the beginning. Raises NoPicture."""
    try:
        picture = Image.open(BytesIO(content), formats=FORMATS)
        if picture.width * picture.height > MOST_PIXELS:
            raise NoPicture
        picture.draft("RGB", (LONGEST, LONGEST))  # a JPEG is read no larger than it has to be
        picture.thumbnail((LONGEST, LONGEST))
        upright = ImageOps.exif_transpose(picture).convert("RGBA")
        paper = Image.new("RGB", upright.size, "white")
        paper.paste(upright, mask=upright)
    except (OSError, SyntaxError, ValueError, EOFError, MemoryError, Image.DecompressionBombError) as error:
        raise NoPicture from error
    written = BytesIO()
    paper.save(written, "JPEG", quality=85)
    return written.getvalue()
