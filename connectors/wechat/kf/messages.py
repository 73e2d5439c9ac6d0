"""What WeCom gives of a conversation, as the house knows it.

A person's account is that of the customer service and their own, as they talk with each by itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from connectors.inbound import Inbound, Media, MediaKind
from connectors.wechat.kf.welcomes import LASTS

NAME = "wechat_kf"

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MESSAGE_ID = re.compile(r"[!-~]{1,100}")
_SENT_ID = re.compile(r"(?P<number>[0-9]{1,18})-[0-9]{1,4}")
_CHOICE = re.compile(r"[A-Za-z0-9_-]{1,32}")

PERSON, SYSTEM = 3, 4
"""Who a message is from; what colleagues in WeCom say is another one."""

_MEDIA: Mapping[str, MediaKind] = {"image": "picture", "voice": "voice", "video": "video", "file": "file"}


@dataclass(frozen=True, slots=True)
class Parsed:
    at: datetime
    answerable: bool  # the person may be sent something for it
    inbound: Inbound
    welcome: str | None = None  # the code by which they may be greeted


@dataclass(frozen=True, slots=True)
class Failed:
    """What was sent has not arrived."""

    at: datetime
    account: str
    number: int  # of the message in the outbox
    reason: int


def account(open_kfid: str, person: str) -> str:
    return f"{open_kfid}.{person}"


def parts(account: str) -> tuple[str, str]:
    """The account of the customer service, and the person's. Raises ValueError."""
    open_kfid, _, person = account.partition(".")
    if not (_ID.fullmatch(open_kfid) and _ID.fullmatch(person)):
        raise ValueError("no account of customer service")
    return open_kfid, person


def parse(message: Mapping[str, Any]) -> Parsed | None:
    """None of what is nothing to the house, and of what cannot be read."""
    origin, kind = message.get("origin"), _text(message, "msgtype")
    event = _part(message, "event")
    about = event if origin == SYSTEM else message
    open_kfid, person, message_id = _text(about, "open_kfid"), _text(about, "external_userid"), _text(message, "msgid")
    if not (_ID.fullmatch(open_kfid) and _ID.fullmatch(person) and _MESSAGE_ID.fullmatch(message_id)):
        return None
    if (at := _time(message.get("send_time"))) is None:
        return None
    said: dict[str, Any] | None = None
    welcome = None
    if origin == PERSON:
        said = _said(kind, _part(message, kind))
    elif origin == SYSTEM and event.get("event_type") == "enter_session":
        scene, welcome = _text(event, "scene_param") or _text(event, "scene"), _text(event, "welcome_code") or None
        data = {"scene": scene} if scene else {}
        if welcome:  # after that nobody can be greeted, and nobody wants to be
            said = {"event": "joined", "data": data, "good_until": at + LASTS}
        elif scene:
            said = {"event": "scene", "data": data}
    if said is None:
        return None
    inbound = Inbound(channel=NAME, account=account(open_kfid, person), message_id=message_id, sent_at=at, **said)
    return Parsed(at, origin == PERSON, inbound, welcome)


def parse_failure(message: Mapping[str, Any]) -> Failed | None:
    """None of what tells of no failure of a message of the house's."""
    event = _part(message, "event")
    if message.get("origin") != SYSTEM or event.get("event_type") != "msg_send_fail":
        return None
    open_kfid, person, reason = _text(event, "open_kfid"), _text(event, "external_userid"), event.get("fail_type")
    found, at = _SENT_ID.fullmatch(_text(event, "fail_msgid")), _time(message.get("send_time"))
    if found is None or at is None or not (_ID.fullmatch(open_kfid) and _ID.fullmatch(person)):
        return None
    return Failed(at, account(open_kfid, person), int(found["number"]), reason if isinstance(reason, int) else 0)


def _said(kind: str, content: Mapping[str, Any]) -> dict[str, Any] | None:
    if kind in _MEDIA:
        return {"media": [Media(kind=_MEDIA[kind], handle=_text(content, "media_id") or None)]}
    match kind:
        case "text":
            tapped = _text(content, "menu_id")
            choice = tapped if _CHOICE.fullmatch(tapped) else None
            said = _text(content, "content")
            return {"text": said or None, "choice": choice} if said.strip() or choice else None
        case "location":
            name = " ".join(filter(None, (_text(content, "name"), _text(content, "address"))))
            latitude, longitude = _degrees(content, "latitude", 90), _degrees(content, "longitude", 180)
            return {"media": [Media(kind="location", name=name or None, latitude=latitude, longitude=longitude)]}
        case "business_card":
            return {"media": [Media(kind="contact")]}
        case "event":
            return None
    words = [_text(content, name).strip() for name in ("title", "desc", "url")]  # a link, a mini program, goods
    told = "\n".join(filter(None, words))
    return {"text": told} if told else {"media": [Media(kind="sticker")]}


def _part(message: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = message.get(name)
    return part if isinstance(part, dict) else {}


def _text(part: Mapping[str, Any], name: str) -> str:
    value = part.get(name)
    return value if isinstance(value, str) else ""


def _time(seconds: object) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int) else None
    except (ValueError, OverflowError, OSError):
        return None


def _degrees(part: Mapping[str, Any], name: str, most: int) -> float | None:
    value = part.get(name)
    good = isinstance(value, (int, float)) and -most <= value <= most
    return float(value) if good and value is not None else None
