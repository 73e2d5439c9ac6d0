"""``check`` compares key ring and database; ``rotate`` also adds a key, with which all new data is sealed."""

from __future__ import annotations

import argparse
import asyncio
import threading

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

import settings
from privacy.keyring import KeyRing, KeyRingError
from privacy.verification import verify_keyring


async def _verify() -> KeyRing:
    engine = create_async_engine(settings.database_url())
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(verify_keyring)
    finally:
        await engine.dispose()
        # after a failed connect aiosqlite's thread still reports to this loop, and would complain of a closed one
        for thread in threading.enumerate():
            if thread is not threading.main_thread():
                thread.join(timeout=1)


async def _rotate() -> KeyRing:
    ring = await _verify()
    ring.rotate()
    return await _verify()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m privacy", description=__doc__)
    parser.add_argument("command", choices=["check", "rotate"])
    command = parser.parse_args().command
    try:
        ring = asyncio.run(_rotate() if command == "rotate" else _verify())
    except KeyRingError as error:
        raise SystemExit(str(error)) from None
    except SQLAlchemyError as error:
        raise SystemExit(f"The database does not answer: {error}") from None
    print(f"{ring.path}: {len(ring.keys)} key(s), new data is sealed with key {ring.active}; it fits the database.")


if __name__ == "__main__":
    main()
