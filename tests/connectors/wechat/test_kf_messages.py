"""What WeCom gives is read, and whatever else it gives is left alone."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.inbound import Media
from connectors.wechat.kf.messages import Failed, Parsed, account, parse, parse_failure, parts

NOW = int(time.time())


def written(kind: str, content: Any, **more: Any) -> dict[str, Any]:
    about = {"msgid": "m1", "open_kfid": "wkA", "external_userid": "wmB", "send_time": NOW, "origin": 3}
    return about | {"msgtype": kind, kind: content} | more


def happened(kind: str, **more: Any) -> dict[str, Any]:
    event = {"event_type": kind, "open_kfid": "wkA", "external_userid": "wmB"} | more
    return {"msgid": "m1", "send_time": NOW, "origin": 4, "msgtype": "event", "event": event}


@pytest.mark.parametrize(
    ("message", "text", "media"),
    [
        (written("text", {"content": "我想退货"}), "我想退货", []),
        (written("image", {"media_id": "x"}), None, [Media(kind="picture", handle="x")]),
        (written("voice", {"media_id": "x"}), None, [Media(kind="voice", handle="x")]),
        (written("video", {"media_id": "x"}), None, [Media(kind="video", handle="x")]),
        (written("file", {"media_id": "x"}), None, [Media(kind="file", handle="x")]),
        (written("image", {}), None, [Media(kind="picture")]),
        (
            written("location", {"latitude": 31.2, "longitude": 121.5, "name": "大厦", "address": "路 1 号"}),
            None,
            [Media(kind="location", name="大厦 路 1 号", latitude=31.2, longitude=121.5)],
        ),
        (written("location", {"latitude": 999}), None, [Media(kind="location")]),
        (written("link", {"title": "面霜", "desc": "好用", "url": "https://a"}), "面霜\n好用\nhttps://a", []),
        (written("miniprogram", {"title": "小店"}), "小店", []),
        (written("business_card", {"userid": "u"}), None, [Media(kind="contact")]),
        (written("what_comes_next", {"strange": 1}), None, [Media(kind="sticker")]),
    ],
)
def test_what_people_send(message: dict[str, Any], text: str | None, media: list[Media]) -> None:
    found = parse(message)
    assert isinstance(found, Parsed) and found.answerable
    assert (found.inbound.sender, found.inbound.message_id) == ("wechat_kf:wkA.wmB", "m1")
    assert (found.inbound.text, list(found.inbound.media), found.inbound.event) == (text, media, None)


def test_a_tap_is_the_choice() -> None:
    found = parse(written("text", {"content": "换货", "menu_id": "AbCdEfGh12345678-2"}))
    assert found is not None and found.inbound.choice == "AbCdEfGh12345678-2"


@pytest.mark.parametrize(
    ("about", "scene"),
    [
        ({"scene": "shop3", "scene_param": "card-7"}, "card-7"),
        ({"scene": "shop3"}, "shop3"),
        ({"scene": "shop3", "scene_param": ""}, "shop3"),
    ],
)
def test_who_comes_in_brings_a_word_along(about: dict[str, str], scene: str) -> None:
    found = parse(happened("enter_session", **about))
    assert found is not None and not found.answerable
    assert (found.inbound.event, found.inbound.data) == ("scene", {"scene": scene})


@pytest.mark.parametrize(("scene", "data"), [({}, {}), ({"scene_param": "card-7"}, {"scene": "card-7"})])
def test_whoever_may_be_greeted_has_joined_and_for_a_moment_only(scene: dict[str, str], data: dict[str, str]) -> None:
    found = parse(happened("enter_session", welcome_code="CODE", **scene))
    assert found is not None and found.welcome == "CODE" and not found.answerable
    assert (found.inbound.event, found.inbound.data) == ("joined", data)
    assert found.inbound.good_until == found.at + timedelta(seconds=20)


def test_a_failure_names_what_was_sent() -> None:
    found = parse_failure(happened("msg_send_fail", fail_msgid="7-1", fail_type=10))
    assert found == Failed(datetime.fromtimestamp(NOW, UTC), "wkA.wmB", 7, 10)
    for odd in ("colleague", "7", "7-", "", 7, None, "99999999999999999999-0"):
        assert parse_failure(happened("msg_send_fail", fail_msgid=odd, fail_type=10)) is None
    assert parse_failure(written("text", {"content": "x"})) is None
    assert parse_failure(happened("msg_send_fail", fail_msgid="7-0", fail_type=10) | {"origin": 3}) is None


@pytest.mark.parametrize(
    "message",
    [
        {},
        happened("enter_session"),  # without a word there is nothing to keep
        happened("msg_send_fail", fail_msgid="7-0", fail_type=10, scene="x"),
        happened("session_status_change", change_type=1, scene="x"),
        written("text", {"content": "我来接"}, origin=5),  # a colleague's
        written("text", {"content": " "}),
        written("text", "no object"),
        written("text", {"content": 5}),
        written("text", {"content": "在吗"}, send_time="soon"),
        written("text", {"content": "在吗"}, send_time=10**30),
        written("text", {"content": "在吗"}, msgid=""),
        written("text", {"content": "在吗"}, msgid="你好"),
        written("text", {"content": "在吗"}, external_userid="wm.B"),
        written("text", {"content": "在吗"}, open_kfid=None),
        written("event", {"event_type": "enter_session", "scene": "x"}),
    ],
)
def test_what_is_nothing_to_the_house(message: dict[str, Any]) -> None:
    assert parse(message) is None


def test_an_account_is_of_both() -> None:
    assert parts(account("wkA", "wmB")) == ("wkA", "wmB")
    for wrong in ("wkA", "wkA.", ".wmB", "wkA.wm.B"):
        with pytest.raises(ValueError, match="account"):
            parts(wrong)
