"""The calls of WeCom's API that its customer service needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

import settings
from connectors.wechat.calls import Calls, text_of
from connectors.wechat.kf.errors import ERRORS
from connectors.wechat.token import Tokens, corporate
from settings import WeComCredentials

PAGE = 200
"""Messages that are read at once; WeCom gives up to 1,000."""

SCENE = "house"
"""Of links that the house makes: with one they may carry what tells them apart."""

ASSISTANT = 1
"""The state of a conversation in which the API may answer, as it may in one that nobody has taken yet."""


class Api(Calls):
    async def accounts(self) -> Sequence[tuple[str, str]]:
        """Ids and names of the accounts that the house may answer for."""
        answer = await self._call("kf/account/list", {"offset": 0, "limit": 100})
        found = [each for each in answer.get("account_list", ()) if isinstance(each, dict)]
        return [
            (str(each.get("open_kfid")), str(each.get("name", "")))
            for each in found
            if each.get("manage_privilege", True)
        ]

    async def messages(self, open_kfid: str, cursor: str | None, bell: str | None) -> dict[str, Any]:
        """What was written to this account behind ``cursor``; without one that of the last three days. With the token
        of a ``bell``, which is good for ten minutes, it may be asked often."""
        asked = {"open_kfid": open_kfid, "cursor": cursor or "", "limit": PAGE} | ({"token": bell} if bell else {})
        return await self._call("kf/sync_msg", asked)

    async def send(self, open_kfid: str, person: str, kind: str, content: Mapping[str, Any], key: str) -> None:
        """The same ``key`` is taken once."""
        body = {"touser": person, "open_kfid": open_kfid, "msgid": key, "msgtype": kind, kind: content}
        await self._call("kf/send_msg", body)

    async def greet(self, code: str, kind: str, content: Mapping[str, Any], key: str) -> None:
        """A ``text`` or ``msgmenu`` for whoever has come in with this code, which is good once."""
        await self._call("kf/send_msg_on_event", {"code": code, "msgid": key, "msgtype": kind, kind: content})

    async def link(self, open_kfid: str) -> str:
        """The address of a chat with this account, to which a ``scene_param`` may be added. Raises NotDone."""
        return text_of(await self._call("kf/add_contact_way", {"open_kfid": open_kfid, "scene": SCENE}), "url")

    async def take_over(self, open_kfid: str, person: str) -> None:
        """The conversation is the API's to answer, unless a person has it or it has ended."""
        body = {"open_kfid": open_kfid, "external_userid": person, "service_state": ASSISTANT}
        await self._call("kf/service_state/trans", body)


def connected(engine: AsyncEngine, http: httpx.AsyncClient, credentials: WeComCredentials) -> Api:
    """With the token that all processes share."""
    base = settings.wecom_api_base()
    ask = corporate(http, base, credentials.corp_id, credentials.kf_secret)
    return Api(http, base, Tokens(engine, credentials.corp_id, ask), ERRORS.token)
