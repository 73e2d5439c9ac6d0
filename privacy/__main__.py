"""``check`` compares key ring and database, and tells what is sealed with which key.

``rotate`` seals everything anew with a new key, while the house runs; Ctrl-C stops it, and the next call goes on.
``retire VERSION`` then takes an old key out of the ring for good; never while anything is sealed with it.
``rotate-index`` changes the key of the keyed hashes, by which senders and phones are found; the house has to stand.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

import settings
from privacy import rotation
from privacy.keyring import KeyRing, KeyRingError, alone
from privacy.tables import keyring_check
from privacy.verification import fit, follow, verify_keyring

if TYPE_CHECKING:
    from sqlalchemy import MetaData

GRAPH = "the graph's questions"


@contextlib.asynccontextmanager
async def _engine() -> AsyncIterator[AsyncEngine]:
    """Patient: a statement may take as long as it needs."""
    engine = create_async_engine(settings.database_url(), hide_parameters=True, connect_args=_waiting())
    try:
        yield engine
    finally:
        await engine.dispose()


def _waiting() -> dict[str, float]:
    return {"timeout": 30.0} if settings.database_url().startswith("sqlite") else {}


def _schema() -> MetaData:
    """The tables of the mall and the connectors. Only these commands know other rooms: they reach every room that keeps
    something sealed."""
    import connectors.channels  # noqa: F401  (each has its own)
    from mall_adapter.models import Base

    return Base.metadata


async def _verify() -> KeyRing:
    async with _engine() as engine, engine.begin() as connection:
        return await connection.run_sync(verify_keyring)


async def _usage(engine: AsyncEngine) -> dict[int, dict[str, int]]:
    columns = rotation.sealed_columns(_schema())
    async with engine.connect() as connection:
        return await connection.run_sync(rotation.usage, columns)


async def check() -> None:
    ring = await _verify()
    print(_standing(ring))
    async with _engine() as engine:
        used = await _usage(engine)
    for version in sorted({*ring.keys, *used}):
        print(f"  key {version}: {_told(used.get(version, {}))}")


async def rotate() -> None:
    from knowledge_graph import Graph, GraphDown, gaps
    from storage import WRITES, create_engine

    ring = await _verify()
    engine = create_engine(settings.database_url())
    try:
        async with Graph.from_settings() as graph:

            async def everything(ring: KeyRing) -> tuple[int, bool]:
                """How many values were sealed anew, and whether the graph answered."""
                number = 0
                for column in rotation.sealed_columns(_schema()):
                    of_column, damaged = 0, 0
                    async for batch in rotation.reseal(engine, engine.execution_options(**WRITES), column, ring):
                        of_column += batch.resealed
                        damaged += len(batch.damaged)
                        for row in batch.damaged:
                            print(f"\n  {column} of row {row} does not open, and stays as it is / 无法解密，保持原样")
                        print(f"\r  {column}: {of_column}", end="", flush=True)
                    if of_column or damaged:
                        print()
                    number += of_column
                try:
                    return number + await gaps.reseal(graph, ring), True
                except GraphDown as error:
                    print(f"  {GRAPH}: {error}")
                    return number, False

            # what an earlier call has left comes first: a key is not added for every Ctrl-C
            number, answered = await everything(ring)
            if number:
                print("An earlier rotation is finished; for another new key, run it once more. / 上次的轮换已完成")
            else:
                ring = ring.rotate()
                await _verify()  # the database knows the new key
                print(f"New data is sealed with key {ring.active}; what is there follows. / 正在用新密钥重新加密 …")
                number, answered = await everything(ring)
        used = await _usage(engine)
    finally:
        await engine.dispose()
    print(_standing(ring))
    if not answered:
        raise KeyRingError(
            "The graph did not answer. Start the house and run it once more. / 图谱没有应答，请稍后再运行"
        )
    if old := sorted(ring.keys.keys() - {ring.active} - used.keys()):
        print(f"No longer used: {', '.join(f'`python -m privacy retire {version}`' for version in old)}")


async def retire(version: int) -> None:
    from knowledge_graph import Graph, GraphDown, gaps

    ring = await _verify()
    async with _engine() as engine:
        async with Graph.from_settings() as graph:
            used = (await _usage(engine)).get(version, {})
            try:
                questions = (await gaps.usage(graph)).get(version, 0)
            except GraphDown as error:
                raise KeyRingError(f"The graph does not answer, so key {version} stays: {error}") from None
        if questions:
            used[GRAPH] = questions
        if used and version in ring.keys:
            raise KeyRingError(f"Key {version} is still needed: {_told(used)}. Run `python -m privacy rotate` first.")
        unknown = keyring_check.delete().where(keyring_check.c.version == version)
        if version in ring.keys and version != ring.active:
            async with engine.begin() as connection:
                await connection.execute(unknown)
        ring = ring.retire(version)
        async with engine.begin() as connection:  # once more, had a process started in between
            await connection.execute(unknown)
    print(f"Key {version} is gone. {_standing(ring)}")


async def rotate_index() -> None:
    async with _engine() as engine, engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
        ring, layers = await connection.run_sync(fit)
        with alone(ring.path) as nobody_else:
            others = await _others(connection)
            if others or not nobody_else:
                raise KeyRingError(
                    "The house is running: it would look for customers under keys that are changing. Stop it first; "
                    f"{others or 'at least one'} other(s) use the database or the key ring.\n"
                    "请先停止全部服务，再更换索引密钥。"
                )
            if layers == len(ring.index_keys):
                ring = ring.rotate_index()
            else:
                print("The index key was changed before; the database follows now. / 继续上次的更换")
            await connection.run_sync(rotation.lift, ring, layers, _schema())
            await connection.run_sync(follow, ring)
            await connection.commit()
    print(f"{_standing(ring)} The graph follows when the house starts. / 图谱会在服务启动后自动跟上。")
    print("Copy the key ring to where your backup is. / 请备份新的密钥文件。")


async def _others(connection: AsyncConnection) -> int:
    """Other connections to a database that can be used from many machines."""
    if connection.dialect.name != "postgresql":
        return 0
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
        "AND backend_type = 'client backend'"
    )
    return int((await connection.execute(text(query))).scalar_one())


def _standing(ring: KeyRing) -> str:
    keys = f"{len(ring.keys)} key(s), new data is sealed with key {ring.active}"
    return f"{ring.path}: {keys}; it fits the database."


def _told(used: Mapping[str, int]) -> str:
    return ", ".join(f"{count} × {where}" for where, count in sorted(used.items())) or "nothing"


async def run(words: Sequence[str] | None = None) -> None:
    """Does what the command line says. Raises KeyRingError and SQLAlchemyError."""
    parser = argparse.ArgumentParser(
        prog="python -m privacy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("check", "rotate", "rotate-index"):
        commands.add_parser(name)
    commands.add_parser("retire").add_argument("version", type=int, help="number of the key")
    arguments = parser.parse_args(words)
    if arguments.command == "retire":
        await retire(arguments.version)
    else:
        await {"check": check, "rotate": rotate, "rotate-index": rotate_index}[arguments.command]()


async def _run() -> None:
    try:
        await run()
    finally:
        # after a failed connect aiosqlite's thread still reports to this loop, and would complain of a closed one
        for thread in threading.enumerate():
            if thread is not threading.main_thread():
                thread.join(timeout=1)


def main() -> None:
    try:
        asyncio.run(_run())
    except KeyboardInterrupt:
        sys.exit("\nStopped; the next call goes on from here. / 已停止，再次运行会接着做。")
    except KeyRingError as error:
        sys.exit(str(error))
    except SQLAlchemyError as error:
        sys.exit(f"The database does not answer: {error}")


if __name__ == "__main__":
    main()
