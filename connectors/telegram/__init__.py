"""Telegram: people write to a bot in private, or call it by its name in a group.

By default what they write is fetched, which needs nothing public; with an https ``PUBLIC_URL`` Telegram brings it.
"""

from __future__ import annotations

import settings
from connectors.channel import Channel, Receive, Shared

NAME = "telegram"


def channel(receive: Receive, shared: Shared) -> Channel | None:
    """None without ``TELEGRAM_BOT_TOKEN``. Raises ValueError for settings that cannot be."""
    if (token := settings.telegram_bot_token()) is None:
        return None
    # aiogram builds some hundred models when it is imported, which takes seconds: only where it is wanted
    from connectors.telegram.bot import Telegram

    return Telegram(token, receive, shared)
