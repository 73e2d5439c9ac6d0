"""The answer as text: what goes out in reply to a message, in the same request, can be nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.messages import PICTURE
from connectors.rendering import Bubble, size, split
from connectors.words import WORDS

TEXT_MOST = 2047
"""Bytes of UTF-8 of one message."""

CHOICES = WORDS.choices


def plain(bubble: Bubble, public_url: str) -> str:
    """All of it in words: choices as lines, a picture by its address."""
    lines = [bubble.text, *(CHOICES.bullet.format(title=choice.title) for choice in bubble.buttons)]
    if bubble.buttons:
        lines.append(CHOICES.titled)
    if picture := bubble.picture:
        path = f"/pictures/{picture}" if PICTURE.fullmatch(picture) else picture
        lines.append(f"{public_url}{path}" if path.startswith("/") else path)
    return "\n".join(line for line in [*lines, bubble.link] if line)


def compose(bubbles: Sequence[Bubble], public_url: str, *, more: bool) -> tuple[str, Sequence[Bubble]]:
    """The text of a reply, and what is to be sent behind it: what has no room, and, where ``more`` can be sent, what
    is better shown as what it is."""
    text = ""
    for number, bubble in enumerate(bubbles):
        if more and (bubble.buttons or bubble.picture):
            return text, bubbles[number:]
        words = plain(bubble, public_url)
        joined = f"{text}\n\n{words}" if text else words
        if size(joined, "bytes") > TEXT_MOST:
            if text:
                return text, bubbles[number:]
            first, *others = split(words, TEXT_MOST, "bytes")
            return first, [*map(Bubble, others), *bubbles[number + 1 :]]
        text = joined
    return text, ()
