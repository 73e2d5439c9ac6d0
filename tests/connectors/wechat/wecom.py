"""WeCom's customer service as it meets a house: it rings, gives what was written, and refuses as the real one does."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.connectors.wechat import stand_in
from tests.connectors.wechat.stand_in import AES_KEY, error

CORP_ID, SECRET, TOKEN = "ww0123456789abcdef", "kf-secret-0123456789", "rings-like-this"
SHOP, STRANGER = "wkShopAAAA", "wkOtherAAAA"
TEXT_MOST, BELL_LASTS, KEPT, CODE_LASTS = 2048, 600.0, 3 * 24 * 3600, 20.0
ASSISTANT = 1

SETTINGS = {"WECOM_CORP_ID": CORP_ID, "WECOM_KF_SECRET": SECRET, "WECOM_TOKEN": TOKEN, "WECOM_AES_KEY": AES_KEY}


@dataclass
class Conversation:
    state: int = 0  # 0 nobody's yet, 1 the API's, 2 waiting, 3 a colleague's, 4 ended
    left: int = 0
    until: float = 0.0
    greeted: float = 0.0  # when, if ever


@dataclass
class WeCom:
    url: str
    log: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # by account, what was written
    conversations: dict[tuple[str, str], Conversation] = field(default_factory=dict)
    sent: list[dict[str, Any]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    bells: dict[str, float] = field(default_factory=dict)  # tokens, and when they were given
    asked: list[dict[str, Any]] = field(default_factory=list)  # for messages
    media: dict[str, bytes] = field(default_factory=dict)
    codes: dict[str, tuple[str, str, float]] = field(default_factory=dict)  # whose they are, and since when
    links: list[str] = field(default_factory=list)  # that were asked for, by their scenes
    faults: list[Any] = field(default_factory=list)  # of sending, in order: a code, or "cut": sent, and nobody hears
    token: str = "t-1"
    expired: bool = False
    page: int = 1000

    def writes(
        self, person: str, text: str | None = None, *, account: str = SHOP, at: float | None = None, **more: Any
    ) -> str:
        """Somebody writes; what its number is."""
        self.conversations[account, person] = Conversation(
            self.conversations.get((account, person), Conversation()).state % 4, 5, time.time() + 48 * 3600
        )
        said = {"msgtype": "text", "text": {"content": text}} if text is not None else {}
        return self.tells(account, origin=3, external_userid=person, open_kfid=account, at=at, **said, **more)

    def enters(self, person: str, *, account: str = SHOP, at: float | None = None, **about: str) -> str | None:
        """Somebody opens the chat; the code by which they may be greeted, if they wrote and were greeted long ago."""
        now = time.time()
        talk = self.conversations.setdefault((account, person), Conversation())
        code = None
        if max(talk.greeted, talk.until - 48 * 3600) < now - 48 * 3600:
            code = f"code{random.getrandbits(64):x}"
            self.codes[code] = (account, person, at or now)
            about |= {"welcome_code": code}
        event = {"event_type": "enter_session", "open_kfid": account, "external_userid": person} | about
        self.tells(account, at, origin=4, msgtype="event", event=event)
        return code

    def fails(self, message: dict[str, Any], reason: int) -> None:
        """What was sent does not arrive."""
        event = {"event_type": "msg_send_fail", "fail_msgid": message["msgid"], "fail_type": reason}
        about = {"open_kfid": message["open_kfid"], "external_userid": message["touser"]}
        self.tells(message["open_kfid"], origin=4, msgtype="event", event=event | about)

    def tells(self, account: str = SHOP, at: float | None = None, **fields: Any) -> str:
        number = f"m{random.getrandbits(80):x}"
        self.log.setdefault(account, []).append({"msgid": number, "send_time": int(at or time.time())} | fields)
        return number

    def rings(self, account: str = SHOP) -> tuple[dict[str, str], str]:
        """The query and the body of its request."""
        bell = f"bell{random.getrandbits(64):x}"
        self.bells[bell] = time.time()
        words = (
            f"<xml><ToUserName><![CDATA[{CORP_ID}]]></ToUserName><CreateTime>{int(time.time())}</CreateTime>"
            f"<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[kf_msg_or_event]]></Event>"
            f"<Token><![CDATA[{bell}]]></Token><OpenKfId><![CDATA[{account}]]></OpenKfId></xml>"
        )
        sealed = stand_in.seal(words, CORP_ID)
        return query(sealed), f"<xml><ToUserName>{CORP_ID}</ToUserName><Encrypt><![CDATA[{sealed}]]></Encrypt></xml>"

    def texts(self, person: str) -> list[str]:
        return [each["text"]["content"] for each in self.sent if each["touser"] == person and each["msgtype"] == "text"]

    # ---- calls ----

    async def gettoken(self, request: Request) -> Response:
        if request.query_params.get("corpid") != CORP_ID:
            return error(40013)
        if request.query_params.get("corpsecret") != SECRET:
            return error(40001)
        self.expired = False
        return JSONResponse({"errcode": 0, "errmsg": "ok", "access_token": self.token, "expires_in": 7200})

    def refusal(self, request: Request) -> Response | None:
        if request.query_params.get("access_token") != self.token:
            return error(40014)
        return error(42001) if self.expired else None

    async def accounts(self, request: Request) -> Response:
        return self.refusal(request) or JSONResponse(
            {
                "errcode": 0,
                "account_list": [
                    {"open_kfid": SHOP, "name": "掌柜", "manage_privilege": True},
                    {"open_kfid": STRANGER, "name": "别人", "manage_privilege": False},
                ],
            }
        )

    async def messages(self, request: Request) -> Response:
        if refusal := self.refusal(request):
            return refusal
        asked = await request.json()
        self.asked.append(asked)
        if (bell := asked.get("token")) and self.bells.get(bell, 0.0) < time.time() - BELL_LASTS:
            return error(95007, "invalid msg token")
        if not 0 < asked["limit"] <= 1000:
            return error(40058)
        log = [each for each in self.log.get(asked["open_kfid"], []) if each["send_time"] > time.time() - KEPT]
        start = 0
        if cursor := asked.get("cursor"):
            if not (cursor.startswith("c") and cursor[1:].isdigit() and int(cursor[1:]) <= len(log)):
                return error(40058, "invalid cursor")
            start = int(cursor[1:])
        given = log[start : start + min(asked["limit"], self.page)]
        end = start + len(given)
        answer = {"errcode": 0, "next_cursor": f"c{end}", "has_more": int(end < len(log)), "msg_list": given}
        return JSONResponse(answer)

    async def send(self, request: Request) -> Response:
        if refusal := self.refusal(request):
            return refusal
        message = await request.json()
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, int):
            return error(fault)
        person, account, key, kind = (message[name] for name in ("touser", "open_kfid", "msgid", "msgtype"))
        conversation = self.conversations.get((account, person))
        if conversation is None:
            return error(84061)
        if not (0 < len(key) <= 32 and key.replace("-", "").replace("_", "").isalnum() and key.isascii()):
            return error(40058, "invalid msgid")
        if key in self.keys:
            return error(40058, "msgid duplicate")
        words = {"text": "content", "msgmenu": "head_content"}.get(kind)
        if words and not 0 < len(message[kind][words].encode()) <= TEXT_MOST:
            return error(45002)
        if kind == "image" and message[kind]["media_id"] not in self.media:
            return error(40007)
        if conversation.until < time.time():
            return error(95002)
        if conversation.left <= 0:
            return error(95001)
        if conversation.state not in (0, ASSISTANT):
            return error(95018, "send msg session status invalid")
        conversation.left -= 1
        self.keys.add(key)
        self.sent.append(message)
        return Response(status_code=504) if fault == "cut" else JSONResponse({"errcode": 0, "msgid": key})

    async def greet(self, request: Request) -> Response:
        if refusal := self.refusal(request):
            return refusal
        message = await request.json()
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, int):
            return error(fault)
        if (known := self.codes.get(message["code"])) is None or known[2] < time.time() - CODE_LASTS:
            return error(41044, "invalid code")
        if (kind := message["msgtype"]) not in ("text", "msgmenu"):
            return error(40008)
        if not 0 < len(message[kind][{"text": "content", "msgmenu": "head_content"}[kind]].encode()) <= TEXT_MOST:
            return error(45002)
        account, person, _ = self.codes.pop(message["code"])
        self.conversations[account, person].greeted = time.time()
        self.keys.add(message["msgid"])
        self.sent.append(message | {"touser": person, "open_kfid": account})
        return Response(status_code=504) if fault == "cut" else JSONResponse({"errcode": 0, "msgid": message["msgid"]})

    async def link(self, request: Request) -> Response:
        if refusal := self.refusal(request):
            return refusal
        asked = await request.json()
        if asked["open_kfid"] != SHOP:
            return error(60011)
        scene = asked.get("scene", "")
        if len(scene) > 32 or not (scene.replace("-", "").replace("_", "").isalnum() and scene.isascii()):
            return error(40058, "invalid scene")
        self.links.append(scene)
        return JSONResponse({"errcode": 0, "url": f"https://work.weixin.qq.com/kf/kfc1?enc_scene=ENC{scene}"})

    async def take_over(self, request: Request) -> Response:
        if refusal := self.refusal(request):
            return refusal
        asked = await request.json()
        conversation = self.conversations[asked["open_kfid"], asked["external_userid"]]
        if conversation.state in (3, 4):
            return error(95016)
        conversation.state = asked["service_state"]
        return error(0)

    async def upload(self, request: Request) -> Response:
        if refusal := self.refusal(request):
            return refusal
        self.media[media_id := f"media-{len(self.media)}"] = await request.body()
        return JSONResponse({"errcode": 0, "type": "image", "media_id": media_id})

    async def download(self, request: Request) -> Response:
        if refusal := self.refusal(request):
            return refusal
        if (content := self.media.get(request.query_params["media_id"])) is None:
            return error(40007)
        return Response(content, media_type="image/jpeg")


def query(sealed: str) -> dict[str, str]:
    timestamp, nonce = str(int(time.time())), str(random.randrange(10**9))  # noqa: S311
    return {"msg_signature": stand_in.sign(TOKEN, timestamp, nonce, sealed), "timestamp": timestamp, "nonce": nonce}


@contextmanager
def serve(port: int) -> Iterator[WeCom]:
    """Serves on 127.0.0.1:``port`` in a thread."""
    wecom = WeCom(f"http://127.0.0.1:{port}")
    posts = {
        "kf/account/list": wecom.accounts,
        "kf/sync_msg": wecom.messages,
        "kf/send_msg": wecom.send,
        "kf/send_msg_on_event": wecom.greet,
        "kf/add_contact_way": wecom.link,
        "kf/service_state/trans": wecom.take_over,
        "media/upload": wecom.upload,
    }
    routes = [Route(f"/cgi-bin/{path}", endpoint, methods=["POST"]) for path, endpoint in posts.items()]
    routes += [Route("/cgi-bin/gettoken", wecom.gettoken), Route("/cgi-bin/media/get", wecom.download)]
    with stand_in.running(routes, port):
        yield wecom
