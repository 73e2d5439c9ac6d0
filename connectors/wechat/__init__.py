"""WeChat Official Accounts as a channel: its server's messages at ``/wechat``, answers in reply or by its API.

``python -m connectors wechat setup`` checks an account and sets its menu.
"""

from __future__ import annotations

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

import settings
from connectors.channel import Channel, Receive, Shared
from connectors.wechat import notice
from connectors.wechat.account import Account
from connectors.wechat.api import Api
from connectors.wechat.callback import Callback
from connectors.wechat.crypto import Envelope
from connectors.wechat.parsing import NAME as NAME
from connectors.wechat.sending import WeChat
from connectors.wechat.token import Tokens
from connectors.wechat.windows import Windows
from privacy.columns import exact_index

__all__ = ["NAME", "channel"]


def channel(receive: Receive, shared: Shared) -> Channel | None:
    """None without credentials. Raises ValueError for settings that cannot be."""
    if (credentials := settings.wechat_credentials()) is None:
        return None
    account, windows = Account(shared.engine, _app(credentials)), Windows(shared.engine)
    key, file = settings.wechat_aes_key(), settings.wechat_notice_file()
    envelope = Envelope(key, credentials.app_id) if key else None
    callback = Callback(receive, shared, account, windows, credentials.token, envelope)
    api = connected(shared.engine, shared.http, credentials)
    return WeChat(callback, api, account, windows, notice.read(file) if file else None, shared.public_url)


def connected(engine: AsyncEngine, http: httpx.AsyncClient, credentials: settings.WeChatCredentials) -> Api:
    """The account's API, with the token that all processes share."""
    base = settings.wechat_api_base()
    return Api(http, base, Tokens(engine, http, base, _app(credentials), credentials.app_id, credentials.app_secret))


def _app(credentials: settings.WeChatCredentials) -> str:
    return exact_index(credentials.app_id, "wechat.app")
