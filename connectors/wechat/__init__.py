"""WeChat Official Accounts as a channel: its server's messages at ``/wechat``, answers in reply or by its API.

``python -m connectors wechat setup`` checks an account and sets its menu.
"""

from __future__ import annotations

import settings
from connectors.channel import Channel, Receive, Shared
from connectors.wechat import notices
from connectors.wechat.account import Account
from connectors.wechat.api import connected
from connectors.wechat.callback import Callback
from connectors.wechat.consents import Consents
from connectors.wechat.crypto import Envelope
from connectors.wechat.notices import Notices
from connectors.wechat.parsing import NAME
from connectors.wechat.sending import WeChat
from connectors.wechat.setup import main
from connectors.wechat.windows import Windows

__all__ = ["NAME", "channel", "main"]


def channel(receive: Receive, shared: Shared) -> Channel | None:
    """None without credentials. Raises ValueError for settings that cannot be."""
    if (credentials := settings.wechat_credentials()) is None:
        return None
    account, windows = Account(shared.engine, credentials.app_id), Windows(shared.engine)
    consents = Consents(shared.engine)
    key, file = settings.wechat_aes_key(), settings.wechat_notice_file()
    envelope = Envelope(key, credentials.app_id) if key else None
    callback = Callback(receive, shared, account, windows, consents, credentials.token, envelope)
    api = connected(shared.engine, shared.http, credentials)
    told = Notices(api, account, consents, notices.read(file) if file else {})
    return WeChat(callback, api, account, windows, told, shared.public_url)
