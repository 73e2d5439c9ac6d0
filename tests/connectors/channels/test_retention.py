"""What came and what went out is forgotten in its time, and nothing before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

import settings
from connectors import retention, upkeep
from connectors.media import MediaStore
from connectors.retention import Retention
from connectors.tables import KeptMedia
from mall_adapter import Desk
from mall_adapter.handoff import ComplaintKind
from privacy import current_ring
from privacy.conversations import conversation_of
from storage import WRITES, inbox, outbox
from storage.inbox import Inbox, Known
from storage.outbox import Outbox, State

KEPT = Retention(media=30, sent=90, received=60)
NOW = datetime.now(UTC)


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


async def tidied(engine: AsyncEngine, folder: Path) -> None:
    await upkeep.tidy(engine, MediaStore(engine, folder), KEPT, NOW)


def files(folder: Path) -> int:
    return len([*folder.iterdir()])


async def sent(engine: AsyncEngine, name: str, days: float, state: State) -> None:
    message = outbox.Message(
        channel="paper", recipient="ann", order_key="paper:ann", kind="answer", payload={}, dedupe=name
    )
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        number = await outbox.enqueue(session, message, ago(days))
        await session.execute(update(Outbox).where(Outbox.id == number).values(state=state))


async def test_what_was_sent_and_what_could_not_be(engine: AsyncEngine, tmp_path: Path) -> None:
    for state in (State.SENT, State.DONE, State.DEAD, State.UNKNOWN, State.PARKED, State.PENDING):
        for days in (91, 89):
            await sent(engine, f"{state} {days}", days, state)
    await tidied(engine, tmp_path)
    async with AsyncSession(engine) as session:
        left = [tuple(each) for each in await session.execute(select(Outbox.state, Outbox.created_at < ago(90)))]
    young = [(state, False) for state in State if state is not State.LEASED]
    assert sorted(left) == sorted([*young, (State.PENDING, True)])  # that one nobody has tried


async def test_names_of_what_was_received(engine: AsyncEngine, tmp_path: Path) -> None:
    for name, days, state in (("old", 61, State.DONE), ("new", 59, State.DONE), ("open", 61, State.PENDING)):
        async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
            number = await inbox.accept(session, inbox.Message("paper", f"paper:{name}", {}, name), ago(days), None)
            await session.execute(update(Inbox).where(Inbox.id == number).values(state=state))
    await tidied(engine, tmp_path)
    async with AsyncSession(engine.execution_options(**WRITES)) as session:
        known = {
            name: isinstance(
                await inbox.accept(session, inbox.Message("paper", f"paper:{name}", {}, name), NOW, None), Known
            )
            for name in ("old", "new", "open")
        }
    assert known == {"old": False, "new": True, "open": True}


async def test_pictures_but_for_those_that_somebody_needs(engine: AsyncEngine, tmp_path: Path) -> None:
    store, desk = MediaStore(engine, tmp_path), Desk(engine, settings.desk_hours(), clock=lambda: NOW)
    kept: dict[str, int] = {}
    for sender, days in (("paper:old", 31), ("paper:new", 29), ("paper:angry", 31)):
        kept[sender] = await store.keep(sender, "m1", "picture", b"GIF89a")
        async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
            old = update(KeptMedia).where(KeptMedia.id == kept[sender]).values(received_at=ago(days))
            await session.execute(old)
    await desk.note_complaint("paper:angry", ComplaintKind.FAKE, "假货", "m1")
    await tidied(engine, tmp_path)
    found = {sender: await store.open(conversation_of(current_ring(), sender), kept[sender]) for sender in kept}
    assert [found[sender] is not None for sender in kept] == [False, True, True]
    assert files(tmp_path) == 2
    actor = await desk.operator("小王", "dashboard")
    [complaint] = await desk.complaints()
    await desk.settle_complaint(actor, complaint.id)
    await tidied(engine, tmp_path)
    async with AsyncSession(engine) as session:
        assert await session.scalar(select(func.count()).select_from(KeptMedia)) == 1
    assert files(tmp_path) == 1


def test_the_shipped_table_can_be_read() -> None:
    assert retention.read(settings.retention_file()).media == 30


@pytest.mark.parametrize(
    "table",
    [
        "media: 0\nsent: 90\nreceived: 90",
        "media: 30\nsent: 3\nreceived: 90",  # sooner than what channels say again
        "media: 30\nsent: 90\nreceived: 6",
        "media: 30\nsent: 90",
        "media: 30\nsent: 90\nreceived: 90\nmore: 1",
        "media: soon\nsent: 90\nreceived: 90",
        "[]",
        "{",
    ],
)
def test_a_table_that_cannot_be_is_refused_at_the_start(tmp_path: Path, table: str) -> None:
    (tmp_path / "retention.yml").write_text(table, "utf-8")
    with pytest.raises(ValueError, match="RETENTION_FILE"):
        retention.read(tmp_path / "retention.yml")
