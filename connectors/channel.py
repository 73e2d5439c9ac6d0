"""What a channel is to the house: how it is sent to, how its people come in, and what may go wrong with it.

A channel's package has ``channel(receive, shared)``, which gives one, or None where it has no credentials and is off.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import httpx
from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncEngine

from connectors.inbound import Inbound, Media
from connectors.rendering import Bubble, Capabilities
from privacy import KeyRing
from storage.outbox import Outcome

Receive = Callable[[Inbound], Awaitable[bool]]
"""Writes a message down; it is committed when this returns. True for a new one, False for one that was known. Raises
what the database raises: then nothing was written, and the channel must not acknowledge."""

Gone = Callable[[], Awaitable[bool]]
"""Whether the channel has hung up, so that nothing can be told it in reply."""

Answer = Callable[[Inbound, float, Gone], Awaitable[Sequence[Bubble] | None]]
"""Waits so many seconds for a message to be answered, and takes what then waits for its sender, in order: it counts as
sent. Asked again for the same message it gives the same. None: not yet, or nobody is there to hear it, and it will be
sent in another way. An empty one: there is nothing to say. The message needs a ``reply_until``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What the house lends to a channel."""

    engine: AsyncEngine
    ring: KeyRing
    http: httpx.AsyncClient  # never through a proxy; give every request a time-out of its own
    public_url: str
    answer: Answer


class MediaUnavailable(Exception):
    """The channel does not give the content: too large, gone, or not now. The text holds no address and no token."""


class Channel(Protocol):
    """Classes of errors, for ``Retry``, ``Parked``, ``Unknown`` and ``Dead``: ``person`` (blocked, gone: dead),
    ``window`` (parked until they write), ``later`` (retry), ``configuration`` (retry; the channel rests, and health
    says so), ``content`` (dead); one may be told more exactly behind a colon (``later:45009``)."""

    name: str
    capabilities: Capabilities

    async def send(self, recipient: str, bubble: Bubble, key: str) -> Outcome:
        """``key`` is the same for every try of one bubble. Never raises for what the channel answers."""

    async def typing(self, recipient: str) -> None:
        """Shows that an answer is on its way, where the channel can; never raises for what it answers."""

    async def check(self) -> list[str]:
        """What an operator has to know, Chinese first; nothing where all is well. Quick: it is asked every moment."""

    def router(self) -> APIRouter | None:
        """Its doors, which the gateway mounts."""

    async def listen(self) -> None:
        """What it does by itself, until cancelled: polling, sweeps. Ends at once if there is nothing."""

    async def invite(self, scene: str) -> str | None:
        """An address by which somebody comes in with this scene, at most 64 of ``A-Za-z0-9_-``; None: not now."""

    async def fetch(self, media: Media) -> bytes:
        """The content. Raises MediaUnavailable."""
