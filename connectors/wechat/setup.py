"""``python -m connectors wechat setup`` checks the account and sets its menu; ``… wechat code SCENE`` makes a QR code
that brings people in with a word of where it hung."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from datetime import timedelta

import httpx
import yaml
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

import settings
from connectors.wechat import menu, words
from connectors.wechat.api import Api, connected
from connectors.wechat.crypto import Envelope
from connectors.wechat.errors import ERRORS
from connectors.wechat.transport import NotDone, Refused, Unsure
from storage import create_engine

WORDS = words.WORDS.setup

CODE_LASTS = timedelta(days=30)
"""The most that WeChat allows."""

SCENE_MOST = 64
"""Characters."""


def main(arguments: Sequence[str]) -> str | None:
    """What went wrong, if anything did."""
    parser = argparse.ArgumentParser(prog="python -m connectors wechat", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("setup")
    commands.add_parser("code").add_argument("scene")
    given = parser.parse_args(arguments)
    try:
        asyncio.run(_run(given.scene if given.command == "code" else None))
    except Refused as error:
        known = ERRORS.configuration.get(error.code, "")
        return f"{error.code} {error.message}\n{known}".rstrip()
    except (NotDone, Unsure) as error:
        return f"{WORDS.away}: {error}"
    except (OSError, SQLAlchemyError) as error:
        return f"{WORDS.unreadable}: {type(error).__name__}"
    except (yaml.YAMLError, ValidationError) as error:
        return f"{WORDS.bad_menu}: {error}"
    except ValueError as error:  # a setting that cannot be
        return str(error)
    return None


async def _run(scene: str | None) -> None:
    if (credentials := settings.wechat_credentials()) is None:
        raise ValueError(WORDS.no_credentials)
    if key := settings.wechat_aes_key():
        Envelope(key, credentials.app_id)
    engine = create_engine(settings.database_url())
    try:
        async with httpx.AsyncClient(trust_env=False) as http:
            api = connected(engine, http, credentials)
            await (_set_up(api) if scene is None else _make_code(api, scene))
    finally:
        await engine.dispose()


async def _set_up(api: Api) -> None:
    await api.addresses()
    print(WORDS.credentials)
    await api.set_menu(menu.read(settings.wechat_menu_file()))
    print(WORDS.menu)
    print(f"{WORDS.address}: {settings.public_url()}/wechat")


async def _make_code(api: Api, scene: str) -> None:
    if not 0 < len(scene) <= SCENE_MOST:
        raise ValueError(WORDS.bad_scene)
    print(await api.scene_code(scene, int(CODE_LASTS.total_seconds())))
