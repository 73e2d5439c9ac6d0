"""``python -m connectors wechat …``: what an operator sees."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from connectors.wechat import main
from connectors.wechat.errors import ERRORS
from connectors.wechat.kf.errors import ERRORS as KF_ERRORS
from connectors.wechat.words import WORDS
from storage import migrate
from tests.connectors.conftest import free_port
from tests.connectors.wechat import wecom
from tests.connectors.wechat.stand_in import AES_KEY, APP_ID, SECRET, TOKEN, StandIn
from tests.connectors.wechat.wecom import SETTINGS, WeCom
from tests.databases import Sqlite, served_by

SETUP = WORDS.setup

Command = Callable[..., str | None]


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sqlite]:
    with served_by("sqlite", tmp_path_factory) as databases:
        assert isinstance(databases, Sqlite)
        yield databases


@pytest.fixture(scope="module")
def url(databases: Sqlite) -> str:
    url = databases.create()
    asyncio.run(migrate(url))
    return url


@pytest.fixture
def command(url: str, wechat: StandIn, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Gives what it ends with."""
    with closing(sqlite3.connect(url.removeprefix("sqlite+aiosqlite:///"))) as database, database:
        database.execute("DELETE FROM wechat_access_token")

    def run(*arguments: str, **changed: str) -> str | None:
        given = {"WECHAT_APP_ID": APP_ID, "WECHAT_APP_SECRET": SECRET, "WECHAT_TOKEN": TOKEN, "WECHAT_AES_KEY": AES_KEY}
        given |= {"WECHAT_API_BASE": wechat.url, "DATABASE_URL": url, "PUBLIC_URL": "https://shop.example"}
        for name, value in (given | changed).items():
            monkeypatch.setenv(name, value)
        return main(arguments)

    return run


def test_an_account_is_checked_and_has_a_menu(
    command: Command, wechat: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("setup") is None
    told = capsys.readouterr().out.splitlines()
    assert told == [SETUP.credentials, SETUP.menu, f"{SETUP.address}: https://shop.example/wechat"]
    first = wechat.menu["button"][0]
    assert first["sub_button"][0] == {"type": "click", "name": "查物流", "key": "我的快递到哪了"}


@pytest.fixture
def service() -> Iterator[WeCom]:
    with wecom.serve(free_port()) as service:
        yield service


NO_ACCOUNT = dict.fromkeys(("WECHAT_APP_ID", "WECHAT_APP_SECRET", "WECHAT_TOKEN", "WECHAT_AES_KEY"), "")


@pytest.mark.parametrize("account", [True, False])
def test_customer_service_is_looked_at_too_or_alone(
    command: Command, service: WeCom, capsys: pytest.CaptureFixture[str], account: bool
) -> None:
    changed = SETTINGS | {"WECOM_API_BASE": service.url} | ({} if account else NO_ACCOUNT)
    assert command("setup", **changed) is None
    told = capsys.readouterr().out.splitlines()
    assert told[-2:] == [SETUP.kf_accounts.format(names="掌柜"), f"{SETUP.kf_address}: https://shop.example/wechat/kf"]
    assert len(told) == (5 if account else 2)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"WECOM_KF_SECRET": ""}, "WECOM_KF_SECRET"),
        ({"WECOM_KF_SECRET": "another"}, KF_ERRORS.configuration[40001]),
        ({"WECOM_CORP_ID": "wwAnother"}, KF_ERRORS.configuration[40013]),
        ({"WECOM_AES_KEY": "short"}, SETUP.bad_key),
        ({"WECOM_API_BASE": "http://qyapi.weixin.qq.com"}, "WECOM_API_BASE"),
    ],
)
def test_what_is_wrong_with_customer_service_is_told(
    command: Command, service: WeCom, changed: dict[str, str], told: str
) -> None:
    ended = command("setup", **(SETTINGS | {"WECOM_API_BASE": service.url} | NO_ACCOUNT | changed))
    assert ended is not None and told in ended and "another" not in ended


def test_a_code_brings_people_in_with_a_word(
    command: Command, wechat: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("code", "门店3") is None
    told = capsys.readouterr().out.strip()
    assert told == "https://mp.weixin.qq.com/cgi-bin/showqrcode?ticket=%E9%97%A8%E5%BA%973%3D%3D"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (dict.fromkeys(("WECHAT_APP_ID", "WECHAT_APP_SECRET", "WECHAT_TOKEN"), ""), SETUP.no_credentials),
        ({"WECHAT_APP_SECRET": ""}, "WECHAT_APP_SECRET"),
        ({"WECHAT_APP_SECRET": "f" * 32}, ERRORS.configuration[40125]),
        ({"WECHAT_APP_ID": "wx0"}, ERRORS.configuration[40013]),
        ({"WECHAT_AES_KEY": AES_KEY + "="}, SETUP.bad_key),
        ({"WECHAT_API_BASE": "http://api.weixin.qq.com"}, "WECHAT_API_BASE"),
        ({"WECHAT_API_BASE": "http://127.0.0.1:9"}, SETUP.away),
        ({"WECHAT_MENU_FILE": "no/such.yml"}, SETUP.unreadable),
        ({"DATABASE_URL": "sqlite:///:memory:"}, SETUP.unreadable),
    ],
)
def test_what_is_wrong_is_told_in_a_line_or_two(command: Command, changed: dict[str, str], told: str) -> None:
    ended = command("setup", **changed)
    assert ended is not None and told in ended and len(ended.splitlines()) <= 2
    assert SECRET not in ended and "f" * 32 not in ended


@pytest.mark.parametrize(
    "menu",
    [
        "menu: []",
        "menu: [{name: 一}]",
        "menu: [{name: 一, say: 一, url: 'https://x'}]",
        "menu: [{name: 一, url: 'javascript:alert(1)'}]",
        f"menu: [{{name: 一, say: {'长' * 43}}}]",
        "menu: [{name: 一, say: 一}, {name: 二, say: 二}, {name: 三, say: 三}, {name: 四, say: 四}]",
        "menu: [{name: 一, more: [{name: 二, more: [{name: 三, say: 三}]}]}]",
        "nonsense",
        "{",
    ],
)
def test_a_menu_that_wechat_would_not_take_is_refused_here(
    command: Command, wechat: StandIn, tmp_path: Path, menu: str
) -> None:
    (tmp_path / "menu.yml").write_text(menu, "utf-8")
    ended = command("setup", WECHAT_MENU_FILE=str(tmp_path / "menu.yml"))
    assert ended is not None and ended.startswith(SETUP.bad_menu) and wechat.menu is None


@pytest.mark.parametrize("scene", ["", "x" * 65])
def test_a_scene_has_its_length(command: Command, scene: str) -> None:
    assert command("code", scene) == SETUP.bad_scene
