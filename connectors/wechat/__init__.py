"""WeChat Official Accounts as a channel: its server's messages at ``/wechat``, answers in reply or by its API.

``python -m connectors wechat setup`` checks an account and sets its menu.
"""

from __future__ import annotations

import settings
from connectors.channel import Channel, Receive, Shared
from connectors.wechat import notice
from connectors.wechat.account import Account
from connectors.wechat.api import connected
from connectors.wechat.callback import Callback
from connectors.wechat.crypto import Envelope
from connectors.wechat.sending import WeChat
from connectors.wechat.setup import main
from connectors.wechat.windows import Windows

__all__ = ["channel", "main"]


def channel(receive: Receive, shared: Shared) -> Channel | None:
    """None without credentials. Raises ValueError for settings that cannot be."""
    if (credentials := settings.wechat_credentials()) is None:
        return None
    account, windows = Account(shared.engine, credentials.app_id), Windows(shared.engine)
    key, file = settings.wechat_aes_key(), settings.wechat_notice_file()
    envelope = Envelope(key, credentials.app_id) if key else None
    callback = Callback(receive, shared, account, windows, credentials.token, envelope)
    api = connected(shared.engine, shared.http, credentials)
    return WeChat(callback, api, account, windows, notice.read(file) if file else None, shared.public_url)
