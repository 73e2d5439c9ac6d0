"""微信客服, WeCom's customer service, as a channel: people write to an account of it from anywhere in WeChat.

WeCom only rings; what was written is read (:mod:`connectors.wechat.kf.reading`), and answered by its API.
"""

from __future__ import annotations

import settings
from connectors.channel import Channel, Receive, Shared
from connectors.wechat.crypto import Envelope
from connectors.wechat.kf.api import connected
from connectors.wechat.kf.callback import Callback
from connectors.wechat.kf.messages import NAME
from connectors.wechat.kf.reading import Reading
from connectors.wechat.kf.sending import WeChatKf
from connectors.wechat.kf.welcomes import Welcomes
from connectors.wechat.windows import Windows

__all__ = ["NAME", "channel"]


def channel(receive: Receive, shared: Shared) -> Channel | None:
    """None without credentials. Raises ValueError for settings that cannot be."""
    if (credentials := settings.wecom_credentials()) is None:
        return None
    api, windows = connected(shared.engine, shared.http, credentials), Windows(shared.engine)
    welcomes = Welcomes(shared.engine)
    reading = Reading(shared.engine, api, receive, windows, welcomes)
    callback = Callback(reading, credentials.token, Envelope(credentials.aes_key, credentials.corp_id))
    return WeChatKf(callback, reading, api, windows, welcomes, shared.public_url)
