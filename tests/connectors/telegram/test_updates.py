"""What people do in Telegram, and what the house reads of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from aiogram.types import Update, User

from connectors.inbound import Inbound, Media
from connectors.telegram.intake import grouped
from connectors.telegram.updates import Migrated, read
from tests.connectors.telegram.stand_in import GROUP, ME, PERSON, PRIVATE, message

BOT = User.model_validate(ME)
OTHERS = {"id": 43, "is_bot": True, "first_name": "别人", "username": "other_bot"}


def update(number: int = 1, **fields: Any) -> Update:
    return Update.model_validate({"update_id": number, **fields})


def of(*updates: Update) -> Inbound:
    found = read(updates, BOT)
    assert isinstance(found, Inbound)
    return found


def command(length: int) -> dict[str, Any]:
    return {"entities": [{"type": "bot_command", "offset": 0, "length": length}]}


def mention(offset: int, length: int = 13) -> dict[str, Any]:
    return {"entities": [{"type": "mention", "offset": offset, "length": length}]}


def file(**more: Any) -> dict[str, Any]:
    return {"file_id": "f1", "file_unique_id": "u1", "file_size": 9, **more}


def test_a_message_in_private() -> None:
    said = of(update(message=message(text="我的订单到哪了")))
    assert (said.sender, said.recipient, said.text) == ("telegram:7", "7", "我的订单到哪了")
    assert said.sent_at == datetime.fromtimestamp(1_796_000_400, UTC)
    assert (said.event, said.choice, list(said.media)) == (None, None, [])


@pytest.mark.parametrize(
    ("fields", "heard"),
    [
        pytest.param({"text": "/start", **command(6)}, {"event": "joined"}, id="start"),
        pytest.param(
            {"text": "/start card_8-Xz", **command(6)},
            {"event": "joined", "data": {"scene": "card_8-Xz"}},
            id="deep link",
        ),
        *(
            pytest.param({"text": f"/start {payload}", **command(6)}, {"event": "joined", "data": {}}, id=name)
            for name, payload in {
                "payload of 65": "a" * 65,
                "payload in Chinese": "茶壶",
                "payload that is no base64": "***",
                "payload with a blank": "a b",
            }.items()
        ),
        pytest.param({"text": "/orders", **command(7)}, {"text": "我的订单到哪了"}, id="command of the menu"),
        pytest.param({"text": "/orders@Zhanggui_Bot", **command(20)}, {"text": "我的订单到哪了"}, id="with our name"),
        pytest.param({"text": "/茶壶"}, {"text": "/茶壶"}, id="no command"),
        pytest.param({"text": "/gift@zhanggui_bot 茶", **command(18)}, {"text": "/gift 茶"}, id="unknown command"),
        pytest.param({"text": "问 /orders", "entities": []}, {"text": "问 /orders"}, id="command within words"),
    ],
)
def test_commands(fields: dict[str, Any], heard: dict[str, Any]) -> None:
    said = of(update(message=message(**fields)))
    assert {name: getattr(said, name) for name in heard} == heard
    assert said.text is None or said.event is None


@pytest.mark.parametrize(
    ("fields", "media"),
    [
        (
            {
                "photo": [
                    {"file_id": "small", "file_unique_id": "s", "width": 90, "height": 60, "file_size": 1},
                    {"file_id": "large", "file_unique_id": "l", "width": 900, "height": 600, "file_size": 100},
                ]
            },
            Media(kind="picture", handle="large", size=100),
        ),
        ({"voice": file(duration=3)}, Media(kind="voice", handle="f1", size=9)),
        ({"video": file(duration=3, width=1, height=1)}, Media(kind="video", handle="f1", size=9)),
        ({"video_note": file(duration=3, length=1)}, Media(kind="video", handle="f1", size=9)),
        ({"document": file(file_name="发票.pdf")}, Media(kind="file", handle="f1", name="发票.pdf", size=9)),
        ({"audio": file(duration=3)}, Media(kind="file", handle="f1", size=9)),
        (
            {"sticker": file(type="regular", width=1, height=1, is_animated=False, is_video=False, emoji="👋")},
            Media(kind="sticker", handle="f1", name="👋", size=9),
        ),
        ({"location": {"latitude": 31.2, "longitude": 121.4}}, Media(kind="location", latitude=31.2, longitude=121.4)),
        (
            {
                "location": {"latitude": 31.2, "longitude": 121.4},
                "venue": {
                    "location": {"latitude": 31.2, "longitude": 121.4},
                    "title": "小区北门",
                    "address": "延平路 1 号",
                },
            },
            Media(kind="location", name="小区北门 延平路 1 号", latitude=31.2, longitude=121.4),
        ),
        (
            {"contact": {"phone_number": "13800000000", "first_name": "周琳"}},
            Media(kind="contact", name="周琳"),
        ),
        ({"dice": {"emoji": "🎲", "value": 3}}, Media(kind="sticker")),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_is_no_text(fields: dict[str, Any], media: Media) -> None:
    said = of(update(message=message(**fields)))
    assert (list(said.media), said.text) == ([media], None)


def test_words_below_a_picture_are_its_text() -> None:
    photo = [{"file_id": "p", "file_unique_id": "p", "width": 1, "height": 1}]
    said = of(update(message=message(photo=photo, caption="杯子碎了")))
    assert (said.text, said.media[0].kind) == ("杯子碎了", "picture")


# ---- what is nobody's message ----


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"channel_post": message(chat={"id": -9, "type": "channel"}, text="上新")}, id="post"),
        pytest.param({"message": message(chat=GROUP, new_chat_title="新群名")}, id="title of a group"),
        pytest.param({"message": message(chat=GROUP, text="大家好")}, id="talk in a group"),
        pytest.param({"message": message(text="我是机器人", **{"from": OTHERS})}, id="another bot"),
        pytest.param(
            {"message": message(chat=GROUP, text="@zhanggui_bot 上新", is_automatic_forward=True, **mention(0))},
            id="forwarded from a channel",
        ),
        pytest.param(
            {"message": message(chat=GROUP, text="/orders@other_bot", **command(17))}, id="command for another bot"
        ),
        pytest.param({"message": message(chat=GROUP, text="/roll", **command(5))}, id="command of nobody's"),
        pytest.param({"message": message(chat=GROUP, text="@other_bot 你好", **mention(0, 10))}, id="another name"),
        pytest.param({"of_next_year": {}}, id="something new"),
    ],
)  # fmt: skip
def test_nothing_is_said_to_us(fields: dict[str, Any]) -> None:
    assert read([update(**fields)], BOT) is None


# ---- groups ----

REPLY = {"reply_to_message": message(**{"from": ME, "text": "要帮您查什么？", "chat": GROUP})}


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        pytest.param({"text": "@zhanggui_bot 水壶多少钱", **mention(0)}, "水壶多少钱", id="by its name"),
        pytest.param({"text": "@ZhangGui_Bot 水壶多少钱", **mention(0)}, "水壶多少钱", id="in other letters"),
        pytest.param({"text": "👨‍👩‍👧 @zhanggui_bot 水壶", **mention(9)}, "👨‍👩‍👧  水壶", id="behind an emoji"),
        pytest.param(
            {"text": "掌柜 在吗", "entities": [{"type": "text_mention", "offset": 0, "length": 2, "user": ME}]},
            "在吗",
            id="by a name that links to it",
        ),
        pytest.param({"text": "水壶多少钱", **REPLY}, "水壶多少钱", id="as an answer"),
        pytest.param({"text": "/orders", **command(7)}, "我的订单到哪了", id="by a command of the menu"),
        pytest.param({"text": "@zhanggui_bot", **mention(0)}, None, id="by its name alone"),
        pytest.param(
            {"text": "😀@zhanggui_bot", "entities": [{"type": "mention", "offset": 1, "length": 14}], **REPLY},
            "😀@zhanggui_bot",
            id="with an entity that cuts an emoji",
        ),
    ],
)
def test_in_a_group_it_is_spoken_to(fields: dict[str, Any], text: str | None) -> None:
    said = of(update(message=message(chat=GROUP, **fields)))
    assert (said.text, said.event) == (text, "joined" if text is None else None)


def test_a_person_in_a_group_is_another_sender_and_is_answered_there() -> None:
    fields = {"text": "@zhanggui_bot 你好", **mention(0)}
    alone, among_others = of(update(message=message(text="你好"))), of(update(message=message(chat=GROUP, **fields)))
    assert (alone.sender, among_others.sender) == ("telegram:7", "telegram:7@-100")
    assert among_others.recipient == "-100/5"
    topic = of(update(message=message(chat=GROUP, is_topic_message=True, message_thread_id=3, **fields)))
    assert (topic.sender, topic.recipient) == ("telegram:7@-100", "-100/5/3")


def test_a_group_becomes_a_supergroup() -> None:
    old = {"id": -5, "type": "group", "title": "团购群"}
    assert read([update(message=message(chat=old, migrate_to_chat_id=-1005))], BOT) == Migrated(-5, -1005)


# ---- the same again, or something else ----


def test_what_comes_again_has_the_same_id_and_what_was_edited_another() -> None:
    first = of(update(1, message=message(text="订单 ORD12345")))
    again = of(update(1, message=message(text="订单 ORD12345")))
    unseen = of(update(2, edited_message=message(text="订单 ORD12345", edit_date=1_796_000_500)))
    edited = of(update(3, edited_message=message(text="订单 ORD12346", edit_date=1_796_000_600)))
    assert first.message_id == again.message_id == unseen.message_id != edited.message_id
    assert (edited.text, edited.sent_at) == ("订单 ORD12346", datetime.fromtimestamp(1_796_000_600, UTC))
    assert "ORD" not in first.message_id


def test_a_location_that_moves_is_one_message() -> None:
    def at(latitude: float) -> dict[str, Any]:
        return message(location={"latitude": latitude, "longitude": 121.4, "live_period": 60})

    moved = of(update(2, edited_message=at(31.3) | {"edit_date": 1_796_000_500}))
    assert of(update(1, message=at(31.2))).message_id == moved.message_id


def test_messages_of_two_chats_under_one_number_are_two() -> None:
    other = {"id": 8, "type": "private", "first_name": "阿强"}
    first = of(update(1, message=message(text="好")))
    second = of(update(2, message=message(text="好", chat=other, **{"from": PERSON | {"id": 8}})))
    assert (first.sender, first.message_id) != (second.sender, second.message_id)


def photo(number: int, album: str | None, caption: str | None = None, chat: dict[str, Any] = PRIVATE) -> dict[str, Any]:
    size = {"file_id": f"p{number}", "file_unique_id": f"u{number}", "width": 1, "height": 1}
    return message(message_id=number, media_group_id=album, photo=[size], caption=caption, chat=chat)


def test_an_album_is_one_message() -> None:
    updates = [
        update(1, message=photo(11, "a")),
        update(2, message=message(message_id=20, text="等一下", **{"from": PERSON | {"id": 8}})),
        update(3, message=photo(12, "a", "两个都碎了")),
        update(4, message=photo(13, "b")),
    ]
    groups = grouped(updates)
    assert [[one.update_id for one in group] for group in groups] == [[1, 3], [2], [4]]
    said = of(*groups[0])
    assert ([one.handle for one in said.media], said.text) == (["p11", "p12"], "两个都碎了")


# ---- buttons, blocking ----


def tap(**fields: Any) -> Update:
    return update(callback_query={"id": "99", "from": PERSON, "chat_instance": "1", **fields})


def test_a_button_was_tapped() -> None:
    said = of(tap(message=message(**{"from": ME}), data="k3y-1"))
    assert (said.sender, said.choice, said.text, said.message_id) == ("telegram:7", "k3y-1", None, "tap.99")


def test_a_button_below_a_message_that_is_too_old_to_be_had() -> None:
    gone = {"chat": PRIVATE, "message_id": 3, "date": 0}
    assert of(tap(message=gone, data="k3y-1")).choice == "k3y-1"


def test_a_button_in_a_group_is_of_whoever_taps_it() -> None:
    said = of(tap(message=message(chat=GROUP, **{"from": ME}), data="k3y-1"))
    assert (said.sender, said.recipient) == ("telegram:7@-100", "-100/5")


@pytest.mark.parametrize("fields", [{"data": "k3y-1"}, {"message": message(), "game_short_name": "x"}])
def test_taps_that_are_not_below_our_messages(fields: dict[str, Any]) -> None:
    assert read([tap(**fields)], BOT) is None


def member(status: str, chat: dict[str, Any] = PRIVATE) -> Update:
    was = {"status": "member", "user": ME}
    now = {"status": status, "user": ME, **({"until_date": 0} if status == "kicked" else {})}
    change = {"chat": chat, "from": PERSON, "date": 1, "old_chat_member": was, "new_chat_member": now}
    return update(77, my_chat_member=change)


def test_who_blocks_it_has_left_and_who_takes_that_back_says_so_with_start() -> None:
    assert (of(member("kicked")).event, of(member("kicked")).message_id) == ("left", "update.77")
    assert read([member("member")], BOT) is None
    assert read([member("kicked", GROUP)], BOT) is None
