"""``python -m connectors`` serves the gateway; ``python -m connectors chat`` talks to a running one."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys

import uvicorn
from sqlalchemy.exc import SQLAlchemyError

import settings
from connectors import terminal
from connectors.gateway import create_app
from privacy import KeyRing, KeyRingError, verify_keyring
from storage import WRITES, create_engine


async def _check() -> KeyRing:
    """The key ring that fits the database."""
    engine = create_engine(settings.database_url())
    try:
        async with engine.execution_options(**WRITES).begin() as connection:
            return await connection.run_sync(verify_keyring)
    finally:
        await engine.dispose()


def serve() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it reports every request
    try:
        ring = asyncio.run(_check())
    except KeyRingError as error:
        sys.exit(str(error))
    except (SQLAlchemyError, OSError) as error:
        sys.exit(
            f"The database does not answer, or `python -m mall_adapter migrate` was not run: {type(error).__name__}"
        )
    try:
        app = create_app(ring, create_engine(settings.database_url()))
    except ValueError as error:  # a setting that cannot be
        sys.exit(str(error))
    # uvicorn stops gently on SIGTERM and then raises it again
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    uvicorn.run(
        app,
        host=settings.bind_host(),
        port=settings.gateway_port(),
        access_log=False,
        ws="none",  # there are none, and uvicorn answers some broken ones with 500
        proxy_headers=False,  # the app itself knows whom to trust
        server_header=False,
        log_config=None,
        timeout_graceful_shutdown=10,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m connectors", description=__doc__)
    parser.add_argument("command", nargs="?", choices=["serve", "chat"], default="serve")
    if parser.parse_args().command == "chat":
        terminal.chat()
    else:
        serve()


if __name__ == "__main__":
    main()
