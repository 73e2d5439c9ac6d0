"""How fast Telegram wants to be written to: one message a second in a chat, twenty a minute in a group, thirty a second
in all. Every process keeps to it by itself; what several do together, Telegram slows with 429."""

from __future__ import annotations

from collections import deque

PRIVATE, GROUP, ALL = (1, 1.0), (20, 60.0), (30, 1.0)
"""Messages, and in how many seconds."""

MOST_REMEMBERED = 10_000
"""Chats."""


class Pace:
    """``now`` is in seconds, of any clock that never goes back."""

    def __init__(self) -> None:
        self._sent: dict[int, deque[float]] = {}
        self._all: deque[float] = deque(maxlen=ALL[0])
        self._held: dict[int, float] = {}

    def take(self, chat: int, now: float) -> float:
        """0.0, and the message is counted; else in how many seconds there will be room for it."""
        if len(self._sent) > MOST_REMEMBERED:
            self._forget(now)
        sent = self._sent.setdefault(chat, deque(maxlen=GROUP[0] if chat < 0 else PRIVATE[0]))
        free = max(self._held.get(chat, now), _free(sent, PRIVATE, now), _free(self._all, ALL, now))
        if chat < 0:
            free = max(free, _free(sent, GROUP, now))
        if free <= now:
            sent.append(now)
            self._all.append(now)
        return max(0.0, free - now)

    def hold(self, chat: int, seconds: float, now: float) -> None:
        """Nothing more is sent there before, because Telegram has said so."""
        self._held[chat] = now + seconds

    def _forget(self, now: float) -> None:
        self._sent = {chat: sent for chat, sent in self._sent.items() if sent and now - sent[-1] < GROUP[1]}
        self._held = {chat: until for chat, until in self._held.items() if until > now}


def _free(sent: deque[float], limit: tuple[int, float], now: float) -> float:
    """When one more may be sent."""
    messages, seconds = limit
    return sent[-messages] + seconds if len(sent) >= messages else now
