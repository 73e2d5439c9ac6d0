"""``python -m connectors wechat setup`` checks the account and sets its menu, and looks at customer service; ``… wechat
code SCENE`` makes a QR code of the account that brings people in with a word of where it hung."""

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
from connectors.wechat.errors import ERRORS, Classes
from connectors.wechat.kf import api as kf_api
from connectors.wechat.kf.callback import PATH
from connectors.wechat.kf.errors import ERRORS as KF_ERRORS
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
        return _told(error, ERRORS)
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
    account, service = settings.wechat_credentials(), settings.wecom_credentials()
    if account is None and (service is None or scene is not None):
        raise ValueError(WORDS.no_credentials)
    if account and (key := settings.wechat_aes_key()):
        Envelope(key, account.app_id)
    engine = create_engine(settings.database_url())
    try:
        async with httpx.AsyncClient(trust_env=False) as http:
            if account:
                api = connected(engine, http, account)
                await (_set_up(api) if scene is None else _make_code(api, scene))
            if service and scene is None:
                Envelope(service.aes_key, service.corp_id)
                await _look_at(kf_api.connected(engine, http, service))
    finally:
        await engine.dispose()


async def _set_up(api: Api) -> None:
    await api.addresses()
    print(WORDS.credentials)
    await api.set_menu(menu.read(settings.wechat_menu_file()))
    print(WORDS.menu)
    print(f"{WORDS.address}: {settings.public_url()}/wechat")


async def _look_at(api: kf_api.Api) -> None:
    """Raises ValueError for what WeCom refuses."""
    try:
        accounts = await api.accounts()
    except Refused as error:
        raise ValueError(_told(error, KF_ERRORS)) from None
    print(WORDS.kf_accounts.format(names=", ".join(name for _, name in accounts) or "–"))
    print(f"{WORDS.kf_address}: {settings.public_url()}{PATH}")


async def _make_code(api: Api, scene: str) -> None:
    if not 0 < len(scene) <= SCENE_MOST:
        raise ValueError(WORDS.bad_scene)
    print(await api.scene_code(scene, int(CODE_LASTS.total_seconds())))


def _told(error: Refused, classes: Classes) -> str:
    return f"{error.code} {error.message}\n{classes.configuration.get(error.code, '')}".rstrip()
