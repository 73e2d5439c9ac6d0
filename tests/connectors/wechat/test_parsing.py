"""What WeChat sends, and what it never should."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.inbound import Media
from connectors.wechat import xml
from connectors.wechat.parsing import Parsed, parse
from connectors.wechat.words import WORDS
from tests.connectors.wechat.stand_in import HOUSE, message

OPENID = "oLVPpjqs9BhvzwPj5A-vTYAX3GLc"
AT = 1764470000


def read(**fields: Any) -> Parsed:
    return parse(xml.read(message(OPENID, AT, **fields).encode()))


@pytest.mark.parametrize(
    ("fields", "text", "media"),
    [
        ({"Content": "我想退货"}, "我想退货", ()),
        ({"Content": "  a  "}, "  a  ", ()),
        ({"Content": "a < b && c > d"}, "a < b && c > d", ()),
        ({"Content": "退\x08货"}, "退货", ()),
        ({"Content": "好\ufffe的"}, "好的", ()),
        ({"Content": "👨‍👩‍👧‍👦"}, "👨‍👩‍👧‍👦", ()),
        ({"Content": WORDS.unsupported}, None, (Media(kind="sticker"),)),
        ({"MsgType": "image", "PicUrl": "http://x", "MediaId": "m1"}, None, (Media(kind="picture", handle="m1"),)),
        ({"MsgType": "image"}, None, (Media(kind="picture"),)),
        ({"MsgType": "voice", "MediaId": "m2", "Format": "speex"}, None, (Media(kind="voice", handle="m2"),)),
        ({"MsgType": "voice", "MediaId": "m2", "Recognition": ""}, None, (Media(kind="voice", handle="m2"),)),
        ({"MsgType": "voice", "MediaId": "m", "Recognition": "退货"}, "退货", (Media(kind="voice", handle="m"),)),
        ({"MsgType": "video", "MediaId": "m3", "ThumbMediaId": "t"}, None, (Media(kind="video", handle="m3"),)),
        ({"MsgType": "shortvideo", "MediaId": "m4"}, None, (Media(kind="video", handle="m4"),)),
        (
            {"MsgType": "location", "Location_X": "23.13", "Location_Y": "113.35", "Scale": 20, "Label": "天河"},
            None,
            (Media(kind="location", name="天河", latitude=23.13, longitude=113.35),),
        ),
        ({"MsgType": "location", "Location_X": "nan", "Location_Y": "999"}, None, (Media(kind="location"),)),
        ({"MsgType": "link", "Title": "锅", "Description": "", "Url": "https://x/1"}, "锅\nhttps://x/1", ()),
        ({"MsgType": "file", "Title": "a.pdf", "FileTotalLen": "9"}, None, (Media(kind="file", name="a.pdf", size=9),)),
        ({"MsgType": "hologram"}, None, (Media(kind="file"),)),
    ],
)
def test_a_message_becomes_the_houses(fields: dict[str, Any], text: str | None, media: tuple[Media, ...]) -> None:
    parsed = read(MsgId=23, **fields)
    assert parsed.inbound is not None and parsed.given == "message" and parsed.house == HOUSE
    assert (parsed.inbound.text, tuple(parsed.inbound.media)) == (text, media)
    assert (parsed.inbound.sender, parsed.inbound.message_id) == (f"wechat:{OPENID}", "23")
    assert parsed.inbound.sent_at == datetime.fromtimestamp(AT, UTC)


@pytest.mark.parametrize("content", ["", "   ", "\x08"])
def test_an_empty_message_is_none(content: str) -> None:
    assert read(Content=content).inbound is None


def test_a_number_is_taken_as_it_is_written() -> None:
    inbound = parse(xml.read(message(OPENID, AT, Content="好", MsgId="012").encode())).inbound
    assert inbound is not None and inbound.message_id == "012"


def test_a_tap_on_a_line_is_a_choice_and_no_message() -> None:
    parsed = read(Content="退货退款", bizmsgmenuid="AbCdEfGh12345678-2")
    assert parsed.given == "tap" and parsed.inbound is not None
    assert (parsed.inbound.choice, parsed.inbound.text) == ("AbCdEfGh12345678-2", "退货退款")


def test_a_strange_tap_is_what_it_says() -> None:
    inbound = read(Content="退货退款", bizmsgmenuid="'; DROP TABLE").inbound
    assert inbound is not None and (inbound.choice, inbound.text) == (None, "退货退款")


@pytest.mark.parametrize(
    ("fields", "given", "event", "data", "text"),
    [
        ({"Event": "subscribe"}, "tap", "joined", {}, None),
        ({"Event": "subscribe", "EventKey": ""}, "tap", "joined", {}, None),
        ({"Event": "subscribe", "EventKey": "qrscene_门店3"}, "tap", "joined", {"scene": "门店3"}, None),
        ({"Event": "SCAN", "EventKey": "门店3", "Ticket": "T"}, "tap", "scene", {"scene": "门店3"}, None),
        ({"Event": "unsubscribe"}, None, "left", {}, None),
        ({"Event": "CLICK", "EventKey": "我想退货"}, "tap", None, {}, "我想退货"),
    ],
)
def test_an_event_becomes_the_houses(
    fields: dict[str, Any], given: str | None, event: str | None, data: dict[str, str], text: str | None
) -> None:
    parsed = read(MsgType="event", **fields)
    assert parsed.inbound is not None
    assert (parsed.given, parsed.inbound.event, parsed.inbound.data, parsed.inbound.text) == (given, event, data, text)


@pytest.mark.parametrize(
    ("fields", "given"),
    [
        ({"Event": "LOCATION", "Latitude": "23.1", "Longitude": "113.2"}, None),
        ({"Event": "VIEW", "EventKey": "https://x"}, None),
        ({"Event": "CLICK", "EventKey": ""}, "tap"),
        ({"Event": "scancode_waitmsg", "EventKey": "6"}, "tap"),
        ({"Event": "TEMPLATESENDJOBFINISH", "MsgID": "1", "Status": "success"}, None),
        ({"Event": "subscribe_msg_popup_event"}, None),
        ({"Event": "thought_of_later"}, None),
    ],
)
def test_what_nobody_has_to_answer_is_not_written_down(fields: dict[str, Any], given: str | None) -> None:
    parsed = read(MsgType="event", **fields)
    assert (parsed.inbound, parsed.given) == (None, given)


def id_of(**fields: Any) -> str:
    parsed = parse(xml.read(message(OPENID, fields.pop("at", AT), MsgType="event", **fields).encode()))
    assert parsed.inbound is not None
    return parsed.inbound.message_id


def test_events_of_the_same_second_are_told_apart_and_the_same_one_is_known_again() -> None:
    first = id_of(Event="CLICK", EventKey="查物流")
    others = {
        id_of(Event="CLICK", EventKey="我想退货"),
        id_of(Event="SCAN", EventKey="查物流", Ticket="T1"),
        id_of(Event="SCAN", EventKey="查物流", Ticket="T2"),
        id_of(Event="subscribe"),
        id_of(Event="CLICK", EventKey="查物流", at=AT + 1),
    }
    assert len(others) == 5 and first not in others
    assert first == id_of(Event="CLICK", EventKey="查物流")


GOOD = message(OPENID, AT, Content="好", MsgId=1)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<xml></xml>",
        b"<xml/>",
        b"<html><body>502</body></html>",
        b"hello",
        b'{"MsgType": "text"}',
        b"\xff\xfe<\x00x\x00",
        GOOD.encode("utf-16"),
        GOOD.encode("gbk"),
        GOOD.replace("<xml>", "<XML>").replace("</xml>", "</XML>").encode(),
        GOOD[:-10].encode(),
        GOOD.replace("好", "&bomb;").replace("<![CDATA[&bomb;]]>", "&bomb;").encode(),
        GOOD.replace("<![CDATA[好]]>", "&#8;").encode(),
        GOOD.encode() + b"<xml></xml>",
        b'<!DOCTYPE xml [<!ENTITY a "b">]>' + GOOD.encode(),
        b'<!DOCTYPE xml SYSTEM "file:///etc/passwd">' + GOOD.encode(),
        GOOD.replace("</xml>", "<MsgType>text</MsgType></xml>").encode(),
        GOOD.replace("</xml>", "<FromUserName>oAnotherPerson0000000000000</FromUserName></xml>").encode(),
        GOOD.replace("<MsgId>1</MsgId>", "").encode(),
        GOOD.replace("<MsgId>1</MsgId>", "<MsgId>one</MsgId>").encode(),
        GOOD.replace("<MsgType><![CDATA[text]]></MsgType>", "").encode(),
        GOOD.replace("<MsgType><![CDATA[text]]></MsgType>", "<MsgType><b>text</b></MsgType>").encode(),
        GOOD.replace(OPENID, "../../etc").encode(),
        GOOD.replace(OPENID, "顾客").encode(),
        GOOD.replace(str(AT), "").encode(),
        GOOD.replace(str(AT), "99999999999999999999").encode(),
        GOOD.replace(str(AT), "-1").encode(),
        message(OPENID, AT, MsgType="event").encode(),
        ("<xml>" + "<a>" * 3000 + "</a>" * 3000 + "</xml>").encode(),
    ],
)
def test_what_wechat_never_sends_is_malformed_and_nothing_worse(body: bytes) -> None:
    with pytest.raises(xml.Malformed):
        parse(xml.read(body))


def test_a_ticket_for_a_platform_has_no_kind() -> None:
    with pytest.raises(xml.Malformed):
        parse(
            xml.read(
                b"<xml><AppId>a</AppId><CreateTime>1</CreateTime><InfoType>component_verify_ticket</InfoType></xml>"
            )
        )


@pytest.mark.parametrize("said", ["a]]>b", "]]>", "]]]]>>", "<b>&amp;</b>", "退\x00\x08货", "a\nb", "\ud83d"])
def test_nothing_gets_out_of_its_element(said: str) -> None:
    written = xml.write({"Content": said, "CreateTime": 7})
    seen = "".join(c for c in said if c in "\n" or c.isprintable())
    assert xml.read(written.encode()) == {"Content": seen, "CreateTime": "7"}
