"""The conversation store with real Rasa trackers, on SQLite and, where TEST_POSTGRES_URL names one, on PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rasa.core.brokers.broker import EventBroker
from rasa.core.tracker_store import SQLTrackerStore, TrackerStore
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import ActionExecuted, BotUttered, Event, SessionStarted, SlotSet, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.utils.endpoints import EndpointConfig
from sqlalchemy import create_engine, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

import settings
from bot.components.server import load_agent
from bot.components.tracker_store import ConversationConflict, EncryptedTrackerStore
from privacy import KeyRing, KeyRingError, TamperedError
from privacy.tables import metadata

SENDER = "web:4f2a9c"
DOMAIN = Domain.from_yaml(
    """
    intents: [greet, request_return, inform]
    entities: [order_id]
    slots:
      order_id: {type: text, mappings: [{type: from_entity, entity: order_id}]}
    actions: [action_create_return_ticket]
    """
)
POSTGRES = os.environ.get("TEST_POSTGRES_URL")


@pytest.fixture(params=["sqlite", "postgresql"] if POSTGRES else ["sqlite"])
def database(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """Migrated and empty."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.delenv("KEYRING_FILE", raising=False)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    if request.param == "postgresql":
        monkeypatch.setenv("DATABASE_URL", str(POSTGRES))
    engine = create_engine(settings.database_url("sync"), future=True)
    metadata.drop_all(engine)
    metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def store(database: Engine) -> EncryptedTrackerStore:
    return EncryptedTrackerStore(DOMAIN)


def said(words: str, intent: str = "inform", **parse_data: Any) -> UserUttered:
    ranking = [{"name": intent, "confidence": 0.97}, {"name": "greet", "confidence": 0.01}]
    return UserUttered(words, ranking[0], parse_data={"intent": ranking[0], "intent_ranking": ranking, **parse_data})


def turn(words: str, answer: str, *events: Event, intent: str = "inform") -> list[Event]:
    return [said(words, intent), *events, BotUttered(answer), ActionExecuted("action_listen")]


def session_start() -> list[Event]:
    return [ActionExecuted("action_session_start"), SessionStarted(), ActionExecuted("action_listen")]


CONVERSATION = [
    [*session_start(), *turn("我想退货", "请提供订单号", intent="request_return")],
    turn("ORD12345", "请提供手机号", SlotSet("order_id", "ORD12345")),
    turn("13800005678, 我叫张小明", "工单已创建", ActionExecuted("action_create_return_ticket")),
]


async def talk(store: TrackerStore, turns: list[list[Event]], sender: str = SENDER) -> DialogueStateTracker:
    """As Rasa does it: read the tracker, add the events of the turn, save once."""
    for events in turns:
        tracker = await store.get_or_create_tracker(sender, append_action_listen=False)
        tracker.update_with_events(events, DOMAIN, override_timestamp=False)
        await store.save(tracker)
    return tracker


async def present(store: TrackerStore, sender: str = SENDER) -> DialogueStateTracker:
    """The tracker of a conversation that is there."""
    tracker = await store.retrieve(sender)
    assert tracker is not None
    return tracker


async def texts(reading: Awaitable[DialogueStateTracker | None]) -> list[str]:
    tracker = await reading
    return [event.text for event in tracker.events if isinstance(event, UserUttered)] if tracker else []


def positions(database: Engine) -> list[tuple[int, int]]:
    with database.connect() as connection:
        rows = connection.execute(
            text("SELECT position, length FROM conversation_event ORDER BY conversation, position")
        )
        return [(row.position, row.length) for row in rows]


def execute(database: Engine, statement: str) -> None:
    with database.begin() as connection:
        connection.execute(text(statement))


# what is kept


async def test_a_tracker_comes_back_as_it_was(store: EncryptedTrackerStore) -> None:
    live = await talk(store, CONVERSATION)
    read = await present(store)
    assert list(read.events) == list(live.events)
    assert read.current_state() == live.current_state()
    assert read.get_slot("order_id") == "ORD12345"


async def test_an_unknown_sender_has_no_tracker(store: EncryptedTrackerStore) -> None:
    await talk(store, CONVERSATION)
    assert await store.retrieve("web:nobody") is None
    assert await store.retrieve_full_tracker("web:nobody") is None


async def test_each_save_appends_one_row_with_what_is_new(store: EncryptedTrackerStore, database: Engine) -> None:
    tracker = await talk(store, CONVERSATION)
    assert positions(database) == [(0, 6), (6, 4), (10, 4)]
    await store.save(tracker)
    assert len(positions(database)) == 3
    tracker.update_with_events(turn("谢谢", "不客气"), DOMAIN)
    await store.save(tracker)
    assert positions(database)[3:] == [(14, 3)]


async def test_a_new_tracker_may_be_saved_again_and_again(store: EncryptedTrackerStore) -> None:
    tracker = await store.create_tracker(SENDER, append_action_listen=True)
    for number in range(3):
        tracker.update_with_events(turn(f"第{number}句", "好的"), DOMAIN)
        await store.save(tracker)
    assert await texts(store.retrieve(SENDER)) == ["第0句", "第1句", "第2句"]


async def test_retrieve_reads_the_present_session_and_the_full_tracker_all(store: EncryptedTrackerStore) -> None:
    await talk(store, CONVERSATION)
    await talk(store, [[*session_start(), *turn("你好", "您好", intent="greet")], turn("在吗", "在的")])
    assert await texts(store.retrieve(SENDER)) == ["你好", "在吗"]
    assert await texts(store.retrieve_full_tracker(SENDER)) == [
        "我想退货",
        "ORD12345",
        "13800005678, 我叫张小明",
        "你好",
        "在吗",
    ]
    session = await present(store)
    assert isinstance(session.events[0], SessionStarted)


@pytest.mark.parametrize("read", ["retrieve", "retrieve_full_tracker"])
async def test_a_turn_is_appended_at_its_place_whatever_was_read(read: str, store: EncryptedTrackerStore) -> None:
    await talk(store, [*CONVERSATION, [*session_start(), *turn("你好", "您好")]])
    tracker = await getattr(store, read)(SENDER)
    tracker.update_with_events(turn("谢谢", "不客气"), DOMAIN)
    await store.save(tracker)
    assert (await texts(store.retrieve_full_tracker(SENDER)))[-2:] == ["你好", "谢谢"]
    assert await texts(store.retrieve(SENDER)) == ["你好", "谢谢"]


async def test_a_session_that_starts_within_a_turn(store: EncryptedTrackerStore) -> None:
    await talk(
        store, [turn("早上", "好"), [*turn("中午", "好"), *session_start(), *turn("晚上", "好")], turn("明天", "好")]
    )
    assert await texts(store.retrieve(SENDER)) == ["晚上", "明天"]
    assert await texts(store.retrieve_full_tracker(SENDER)) == ["早上", "中午", "晚上", "明天"]


async def test_thousands_of_old_events_are_not_read(store: EncryptedTrackerStore, database: Engine) -> None:
    tracker = store.init_tracker(SENDER)
    for number in range(1000):
        tracker.update_with_events(turn(f"第{number}句", "好的"), DOMAIN)
        await store.save(tracker)
    await talk(store, [[*session_start(), *turn("我又来了", "欢迎")], turn("还在吗", "在的")])
    assert len(await texts(store.retrieve_full_tracker(SENDER))) == 1002

    execute(database, "UPDATE conversation_event SET length = 99 WHERE position < 3000")  # unreadable from now on
    assert await texts(store.retrieve(SENDER)) == ["我又来了", "还在吗"]
    with pytest.raises(TamperedError):
        await store.retrieve_full_tracker(SENDER)


async def test_a_session_of_thousands_of_events(store: EncryptedTrackerStore) -> None:
    tracker = store.init_tracker(SENDER)
    for number in range(1000):
        tracker.update_with_events(turn(f"第{number}句", "好的"), DOMAIN)
        await store.save(tracker)
    assert await texts(store.retrieve(SENDER)) == [f"第{number}句" for number in range(1000)]


async def test_keys_are_the_senders(store: EncryptedTrackerStore) -> None:
    for sender in ("web:a", "web:b", "api:c"):
        await talk(store, CONVERSATION, sender)
    assert sorted(await store.keys()) == ["api:c", "web:a", "web:b"]


async def test_new_events_are_published_once_they_are_stored(database: Engine) -> None:
    class Published(EventBroker):
        def __init__(self) -> None:
            self.events: list[dict[str, Any]] = []

        def publish(self, event: dict[str, Any]) -> None:
            self.events.append(event)

    broker = Published()
    store = EncryptedTrackerStore(DOMAIN, event_broker=broker)
    await talk(store, CONVERSATION)
    stored = await store.retrieve_full_tracker(SENDER)
    assert stored is not None
    assert broker.events == [{"sender_id": SENDER, **event.as_dict()} for event in stored.events]


# what must not be seen


def files(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir() if file.is_file())


def cells(database: Engine) -> bytes:
    with database.connect() as connection:
        rows = [row for table in metadata.sorted_tables for row in connection.execute(table.select())]
    return b"".join(cell if isinstance(cell, bytes) else str(cell).encode() for row in rows for cell in row)


def traces(stored: bytes) -> set[str]:
    """Which of the conversation's words stand in ``stored``, plain, escaped or in hex."""
    secrets = {"我想退货", "张小明", "ORD12345", "13800005678", "工单已创建", SENDER, SENDER[4:]}
    secrets |= {"request_return", "inform", "action_create_return_ticket", "action_listen", "order_id", "user"}

    def forms(secret: str) -> list[bytes]:
        plain = secret.encode()
        return [plain, secret.encode("utf-16-le"), ascii(secret)[1:-1].encode(), plain.hex().encode()]

    return {secret for secret in secrets if any(form in stored for form in forms(secret))}


async def test_the_database_holds_nothing_of_the_conversation(store: EncryptedTrackerStore, database: Engine) -> None:
    await talk(store, CONVERSATION)
    await talk(store, [[*session_start(), *turn("我想退货", "请提供订单号", intent="request_return")]])
    assert len(positions(database)) == 4
    assert traces(files(settings.data_dir()) + cells(database)) == set()


async def test_the_same_look_finds_everything_in_a_plain_store(database: Engine, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    await talk(SQLTrackerStore(DOMAIN, db=str(tmp_path / "plain" / "rasa.db")), CONVERSATION)
    assert {"我想退货", "ORD12345", "13800005678", SENDER, "request_return", "action_listen"} <= traces(
        files(tmp_path / "plain")
    )


# rotation


async def test_a_conversation_goes_on_over_a_rotation(store: EncryptedTrackerStore) -> None:
    await talk(store, CONVERSATION[:2])
    KeyRing.load(settings.keyring_file()).rotate()
    await talk(store, CONVERSATION[2:])
    expected = ["我想退货", "ORD12345", "13800005678, 我叫张小明"]
    assert await texts(store.retrieve(SENDER)) == expected
    assert await texts(EncryptedTrackerStore(DOMAIN).retrieve(SENDER)) == expected


# two writers, and a crash


@pytest.mark.parametrize("attempt", range(10))
def test_of_two_writers_one_wins_and_the_other_knows(attempt: int, database: Engine) -> None:
    asyncio.run(talk(EncryptedTrackerStore(DOMAIN), CONVERSATION))
    barrier = threading.Barrier(2)
    outcome: dict[str, str] = {}

    def write(words: str) -> None:
        async def one_turn() -> None:
            store = EncryptedTrackerStore(DOMAIN)
            tracker = await present(store)
            tracker.update_with_events(turn(words, "好的"), DOMAIN)
            barrier.wait()
            await store.save(tracker)

        try:
            asyncio.run(one_turn())
            outcome[words] = "saved"
        except ConversationConflict:
            outcome[words] = "refused"

    writers = [threading.Thread(target=write, args=(words,)) for words in ("左", "右")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(outcome.values()) == ["refused", "saved"]
    winner = next(words for words, result in outcome.items() if result == "saved")
    stored = asyncio.run(texts(EncryptedTrackerStore(DOMAIN).retrieve_full_tracker(SENDER)))
    assert stored == ["我想退货", "ORD12345", "13800005678, 我叫张小明", winner]


async def test_a_writer_who_starts_another_session_is_refused_too(store: EncryptedTrackerStore) -> None:
    await talk(store, CONVERSATION)
    one, other = await present(store), await present(store)
    one.update_with_events(turn("左", "好的"), DOMAIN)
    other.update_with_events([*session_start(), *turn("右", "好的"), *turn("右", "好的")], DOMAIN)
    await store.save(one)
    with pytest.raises(ConversationConflict):
        await store.save(other)
    assert (await texts(store.retrieve_full_tracker(SENDER)))[3:] == ["左"]


async def test_of_senders_who_write_at_once_each_keeps_its_own(store: EncryptedTrackerStore) -> None:
    senders = [f"web:{number}" for number in range(16)]
    await asyncio.gather(*(talk(store, CONVERSATION, sender) for sender in senders))
    assert [len((await present(store, sender)).events) for sender in senders] == [13] * 16


def test_after_a_kill_every_acknowledged_turn_is_there_and_none_by_half(database: Engine) -> None:
    acknowledged, acknowledge = os.pipe()
    child = os.fork()
    if child == 0:
        store = EncryptedTrackerStore(DOMAIN)

        async def talk_until_killed() -> None:
            tracker = store.init_tracker(SENDER)
            while True:
                tracker.update_with_events(turn("我想退货", "请提供订单号"), DOMAIN)
                await store.save(tracker)
                os.write(acknowledge, b".")

        asyncio.run(talk_until_killed())
    seen = 0
    while seen < 50:
        seen += len(os.read(acknowledged, 1))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(acknowledge)
    seen += len(os.read(acknowledged, 1000))

    store = EncryptedTrackerStore(DOMAIN)
    tracker = asyncio.run(present(store))
    assert len(tracker.events) // 3 in (seen, seen + 1)  # the last one may be stored and not acknowledged
    assert len(tracker.events) % 3 == 0
    asyncio.run(talk(store, [turn("还在吗", "在的")]))
    assert asyncio.run(texts(store.retrieve(SENDER)))[-1] == "还在吗"


# faults fail the turn: Rasa must not go on with a copy in memory


ENDPOINT = EndpointConfig(type="bot.components.tracker_store.EncryptedTrackerStore")


def swap_two_rows(database: Engine) -> None:
    execute(database, "UPDATE conversation_event SET position = 99 WHERE position = 6")
    execute(database, "UPDATE conversation_event SET position = 6 WHERE position = 10")
    execute(database, "UPDATE conversation_event SET position = 10 WHERE position = 99")


TAMPERING = [
    swap_two_rows,
    lambda database: execute(database, "DELETE FROM conversation_event WHERE position = 0"),
    lambda database: execute(database, "DELETE FROM conversation_event WHERE position = 6"),
    lambda database: execute(database, "UPDATE conversation_event SET length = 1 WHERE position = 10"),
    lambda database: execute(database, "UPDATE conversation_event SET session = 6 WHERE position = 10"),
]


@pytest.mark.parametrize("tamper", TAMPERING)
async def test_a_tampered_conversation_is_not_read(
    tamper: Callable[[Engine], None], store: EncryptedTrackerStore, database: Engine
) -> None:
    await talk(store, CONVERSATION)
    tamper(database)
    tracker = await present(store)
    assert list(tracker.events) == []
    with pytest.raises(TamperedError):
        await store.retrieve_full_tracker(SENDER)

    # nobody is locked out: the customer goes on in a new session, and so does the one after
    tracker.update_with_events([*session_start(), *turn("还在吗", "在的")], DOMAIN)
    await store.save(tracker)
    await talk(store, [turn("好的", "不客气")])
    assert await texts(store.retrieve(SENDER)) == ["还在吗", "好的"]


@pytest.mark.parametrize(
    ("harm", "fault"),
    [
        (lambda database: execute(database, "DROP TABLE conversation_event"), SQLAlchemyError),
        (lambda database: settings.keyring_file().unlink(), KeyRingError),
    ],
)
async def test_nothing_is_read_or_saved_while_database_or_ring_are_gone(
    harm: Callable[[Engine], None], fault: type[Exception], store: EncryptedTrackerStore, database: Engine
) -> None:
    tracker = await talk(store, CONVERSATION)
    tracker.update_with_events(turn("还在吗", "在的"), DOMAIN)
    harm(database)
    with pytest.raises(fault):
        await store.save(tracker)
    with pytest.raises(fault):
        await store.get_or_create_tracker(SENDER)


async def test_the_bot_uses_this_store_unwrapped(database: Engine, models: Path, tmp_path: Path) -> None:
    endpoints = tmp_path / "endpoints.yml"
    endpoints.write_text(f"action_endpoint: {{url: 'http://127.0.0.1:9'}}\ntracker_store: {{type: {ENDPOINT.type}}}\n")
    agent = await load_agent(endpoints, models)
    assert type(agent.tracker_store) is type(agent.processor.tracker_store) is EncryptedTrackerStore


# refusing to start


def another_ring(path: Path) -> None:
    path.unlink()
    KeyRing.load_or_create(path)


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda path: path.unlink(), "the key ring is missing, but the database holds data"),
        (another_ring, "this is not the key ring with which the database was sealed"),
        (lambda path: path.write_bytes(path.read_bytes()[:50]), "the key ring is damaged"),
        (lambda path: path.chmod(0o644), "other users may read the key ring"),
    ],
)
def test_with_a_bad_ring_rasa_does_not_start(
    harm: Callable[[Path], None], reason: str, store: EncryptedTrackerStore
) -> None:
    harm(settings.keyring_file())
    with pytest.raises(SystemExit, match=f"the bot does not start. {settings.keyring_file()}: {reason}"):
        TrackerStore.create(ENDPOINT)


@pytest.mark.parametrize(
    "url", ["sqlite:////nowhere/at/all.db", "mysql://localhost/mall", "postgresql://127.0.0.1:1/mall"]
)
def test_without_a_database_rasa_does_not_start(url: str, database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    with pytest.raises(SystemExit, match="the bot does not start"):
        TrackerStore.create(ENDPOINT)


def test_before_the_migration_rasa_does_not_start(database: Engine) -> None:
    metadata.drop_all(database)
    with pytest.raises(SystemExit, match="python -m mall_adapter migrate"):
        TrackerStore.create(ENDPOINT)


def test_the_bot_process_ends_with_the_reason(store: EncryptedTrackerStore, models: Path) -> None:
    another_ring(settings.keyring_file())
    command = [sys.executable, "-m", "bot", "serve"]
    environment = {**os.environ, "MODELS_DIR": str(models)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=settings.ROOT, env=environment)
    assert done.returncode == 1
    assert f"{settings.keyring_file()}: this is not the key ring" in done.stderr
