"""A message or an event of WeChat as the house knows them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from connectors.inbound import Inbound, Media, MediaKind
from connectors.wechat.words import WORDS
from connectors.wechat.xml import Malformed

NAME = "wechat"

_OPENID = re.compile(r"[A-Za-z0-9_-]{6,64}")
_NUMBER = re.compile(r"[0-9]{1,20}")
_CHOICE = re.compile(r"[A-Za-z0-9_-]{1,32}")

_MEDIA: Mapping[str, MediaKind] = {"image": "picture", "voice": "voice", "video": "video", "shortvideo": "video"}
_SCENE = "qrscene_"
_FOR_GOOD = {"subscribe_msg_popup_event": False, "subscribe_msg_change_event": True}

Given = Literal["message", "tap"]
"""What somebody did who may therefore be sent something (:mod:`connectors.wechat.windows`)."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What somebody has said of a subscription notice."""

    template: str
    agreed: bool
    for_good: bool  # not only this time


@dataclass(frozen=True, slots=True)
class Parsed:
    house: str  # the account that was written to, as WeChat calls it
    account: str
    at: datetime
    given: Given | None
    inbound: Inbound | None  # None: nothing to write down
    choices: Sequence[Choice] = ()


def parse(fields: Mapping[str, str], rows: Sequence[Mapping[str, str]] = ()) -> Parsed:
    """Of the fields of a message (:func:`connectors.wechat.xml.read`) and its rows, if it has any. Raises Malformed."""
    account, kind = _matching(fields, "FromUserName", _OPENID), _wanted(fields, "MsgType")
    house, at = _wanted(fields, "ToUserName"), _time(_matching(fields, "CreateTime", _NUMBER))
    if kind == "event":
        given, inbound = _event(fields, account, at)
    else:
        tapped = fields.get("bizmsgmenuid", "")
        given = "tap" if tapped else "message"
        text, media = _text(fields, kind), _media(fields, kind)
        message_id = _matching(fields, "MsgId", _NUMBER)
        choice = tapped if _CHOICE.fullmatch(tapped) else None
        inbound = Inbound(
            channel=NAME, account=account, message_id=message_id, sent_at=at, text=text, choice=choice, media=media
        )
        if not (text or choice or media):
            inbound = None
    return Parsed(house, account, at, given, inbound, _choices(fields, rows) if kind == "event" else ())


def _text(fields: Mapping[str, str], kind: str) -> str | None:
    match kind:
        case "text":
            said = fields.get("Content", "")
            return said if said.strip() not in ("", WORDS.unsupported) else None
        case "voice":
            return fields.get("Recognition", "").strip() or None
        case "link":
            parts = (fields.get(name, "").strip() for name in ("Title", "Description", "Url"))
            return "\n".join(part for part in parts if part) or None
    return None


def _media(fields: Mapping[str, str], kind: str) -> tuple[Media, ...]:
    if kind in _MEDIA:
        return (Media(kind=_MEDIA[kind], handle=fields.get("MediaId") or None),)
    match kind:
        case "text":
            return (Media(kind="sticker"),) if fields.get("Content", "").strip() == WORDS.unsupported else ()
        case "link":
            return ()
        case "location":
            latitude, longitude = _degrees(fields, "Location_X", 90), _degrees(fields, "Location_Y", 180)
            return (Media(kind=kind, name=fields.get("Label") or None, latitude=latitude, longitude=longitude),)
    # a file, or what WeChat has thought of since
    size = fields.get("FileTotalLen", "")
    return (Media(kind="file", name=fields.get("Title") or None, size=int(size) if _NUMBER.fullmatch(size) else None),)


def _event(fields: Mapping[str, str], account: str, at: datetime) -> tuple[Given | None, Inbound | None]:
    happened, key = _wanted(fields, "Event").lower(), fields.get("EventKey", "")
    given: Given | None = None
    text: str | None = None
    event: str | None = None
    data: dict[str, str] = {}
    match happened:
        case "subscribe":
            given, event = "tap", "joined"
            data = {"scene": key.removeprefix(_SCENE)} if key.startswith(_SCENE) else {}
        case "unsubscribe":
            event = "left"
        case "scan":  # by somebody who follows already
            given, event, data = "tap", "scene", {"scene": key}
        case "click":  # the keys of our menu are what the customer would say
            given, text = "tap", key
        case "scancode_push" | "scancode_waitmsg":
            given = "tap"
    if event is None and not text:
        return given, None
    # two things that one person did in the same second differ in these; what is sent again does not
    named = "\n".join((happened, key, fields["CreateTime"], fields.get("Ticket", "")))
    message_id = f"event.{hashlib.sha256(named.encode()).hexdigest()[:32]}"
    return given, Inbound(
        channel=NAME, account=account, message_id=message_id, sent_at=at, text=text or None, event=event, data=data
    )


def _choices(fields: Mapping[str, str], rows: Sequence[Mapping[str, str]]) -> Sequence[Choice]:
    """In the window that asks for consent, and in the person's own settings later."""
    for_good = _FOR_GOOD.get(fields["Event"].strip().lower())
    if for_good is None:
        return ()
    return [
        Choice(template, row.get("SubscribeStatusString") == "accept", for_good)
        for row in rows
        if (template := row.get("TemplateId", ""))
    ]


def _wanted(fields: Mapping[str, str], name: str) -> str:
    if value := fields.get(name, "").strip():
        return value
    raise Malformed(f"no {name}")


def _matching(fields: Mapping[str, str], name: str, pattern: re.Pattern[str]) -> str:
    value = _wanted(fields, name)
    if pattern.fullmatch(value):
        return value
    raise Malformed(f"a strange {name}")


def _time(seconds: str) -> datetime:
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError):
        raise Malformed("a strange CreateTime") from None


def _degrees(fields: Mapping[str, str], name: str, most: int) -> float | None:
    try:
        value = float(fields.get(name, ""))
    except ValueError:
        return None
    return value if -most <= value <= most else None
