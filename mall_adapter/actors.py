"""Who acts in the mall."""

from __future__ import annotations

from storage import Actor, Role

RULES = Actor(Role.SERVICE, "rules")
"""What the house decides by itself."""


def visitor(sender: str) -> Actor:
    """Whoever writes from a channel account (``"<channel>:<external id>"``)."""
    return Actor(Role.CUSTOMER, channel=sender.partition(":")[0])
