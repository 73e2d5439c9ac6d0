"""Settings of the whole house, read from the environment; every one has a default that runs on one machine.

Standard library only, Python 3.10 and newer: both environments (Rasa's and the app's) read the same names.
The names are listed in README.md. Secrets live in files under ``DATA_DIR`` with mode 0600.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import time
from ipaddress import ip_network
from pathlib import Path
from zoneinfo import ZoneInfo

ROOT = Path(__file__).resolve().parent
"""Folder of the project; relative paths in settings are taken from here."""

SHANGHAI = ZoneInfo("Asia/Shanghai")
"""The shop's time, for days and hours that people read."""

HOST = "127.0.0.1"
"""Every part binds here unless ``BIND_HOST`` says otherwise (only the gateway reads that)."""


def _path(name: str, default: Path) -> Path:
    value = os.environ.get(name)
    return (ROOT / value) if value else default


def _port(name: str, default: int) -> int:
    value = os.environ.get(name) or str(default)
    if not value.isdigit() or not 0 < int(value) < 65536:
        raise ValueError(f"{name} must be a port between 1 and 65535, not {value!r}")
    return int(value)


def data_dir() -> Path:
    """Folder for databases, key ring and logs (``DATA_DIR``, default ``var/``)."""
    return _path("DATA_DIR", ROOT / "var")


def keyring_file() -> Path:
    """Key ring of the privacy room (``KEYRING_FILE``, default ``DATA_DIR/keyring.json``)."""
    return _path("KEYRING_FILE", data_dir() / "keyring.json")


def catalogue_file() -> Path:
    """What customers call the mall's goods; ``mall_adapter.names`` writes it, the bot reads it."""
    return data_dir() / "lookups" / "catalogue.json"


def pictures_dir() -> Path:
    """Drawn comparisons; the actions draw them, the gateway shows them."""
    return data_dir() / "pictures"


def media_dir() -> Path:
    """What customers have sent beside words, sealed."""
    return data_dir() / "media"


def database_url(driver: str = "async") -> str:
    """SQLAlchemy address of the one database (``DATABASE_URL``, default SQLite in ``DATA_DIR``).

    ``driver`` is ``"async"`` (aiosqlite, asyncpg; the app environment) or ``"sync"`` (sqlite3, psycopg2; Rasa's
    environment). Whatever driver the setting itself names is replaced, so one address serves every process.
    """
    url = os.environ.get("DATABASE_URL") or f"sqlite:///{data_dir() / 'zhanggui.db'}"
    scheme, separator, rest = url.partition("://")
    dialect = scheme.split("+")[0]
    dialect = "postgresql" if dialect == "postgres" else dialect
    drivers = {
        ("sqlite", "async"): "sqlite+aiosqlite",
        ("sqlite", "sync"): "sqlite",
        ("postgresql", "async"): "postgresql+asyncpg",
        ("postgresql", "sync"): "postgresql+psycopg2",
    }
    if not separator or (dialect, driver) not in drivers:
        raise ValueError("DATABASE_URL must begin with sqlite:// or postgresql://")
    return f"{drivers[dialect, driver]}://{rest}"


def database_is_own_file() -> bool:
    """Whether it is the house's own SQLite file; not where ``DATABASE_URL`` names one."""
    return not os.environ.get("DATABASE_URL")


def gateway_port() -> int:
    return _port("GATEWAY_PORT", 8000)


def bot_port() -> int:
    return _port("BOT_PORT", 5005)


def actions_port() -> int:
    return _port("ACTIONS_PORT", 5055)


def _addresses(name: str, default: str) -> tuple[str, ...]:
    given = (each.strip().rstrip("/") for each in (os.environ.get(name) or default).split(","))
    addresses = tuple(each for each in given if each)
    if not addresses or not all(each.startswith(("http://", "https://")) for each in addresses):
        raise ValueError(f"{name} must name addresses like http://bot:5005, with commas between several")
    return addresses


def rasa_urls() -> tuple[str, ...]:
    """Addresses of the bots as the gateway sees them (``RASA_URL``, with commas); any of them will do."""
    return _addresses("RASA_URL", f"http://{HOST}:{bot_port()}")


def actions_urls() -> tuple[str, ...]:
    """Addresses of the action servers as the bot sees them (``ACTIONS_URL``, with commas), without ``/webhook``."""
    return _addresses("ACTIONS_URL", f"http://{HOST}:{actions_port()}")


def sanic_host() -> str:
    """Address on which the bot and the action server listen (``SANIC_HOST``, default loopback)."""
    return os.environ.get("SANIC_HOST") or HOST


def bind_host() -> str:
    """Address on which the gateway listens (``BIND_HOST``, default loopback)."""
    return os.environ.get("BIND_HOST") or HOST


def gateway_url() -> str:
    """Address at which this machine's own programs reach the gateway."""
    host = {"0.0.0.0": HOST, "::": "::1"}.get(bind_host(), bind_host())  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{gateway_port()}"


def trusted_proxies() -> list[str]:
    """Addresses and networks whose X-Forwarded-For is believed (``TRUSTED_PROXIES``, with commas; default none)."""
    given = [entry.strip() for entry in (os.environ.get("TRUSTED_PROXIES") or "").split(",") if entry.strip()]
    for entry in given:
        try:
            ip_network(entry)
        except ValueError:
            raise ValueError(
                f"TRUSTED_PROXIES must name addresses and networks like 10.0.0.0/8, not {entry!r}"
            ) from None
    return given


def metrics_port() -> int | None:
    """Port on which a worker of its own tells its metrics (``METRICS_PORT``, default none); a gateway has its own."""
    return _port("METRICS_PORT", 0) if os.environ.get("METRICS_PORT") else None


def metrics_token() -> str | None:
    """What Prometheus brings from another machine (``METRICS_TOKEN``, default none: only this machine reads them)."""
    return os.environ.get("METRICS_TOKEN") or None


def redis_url() -> str | None:
    """A Redis, or what speaks its protocol, in which several gateways count together, and by which several bots take
    one message of a sender at a time (``REDIS_URL``, default none)."""
    url = os.environ.get("REDIS_URL") or None
    if url and not url.startswith(("redis://", "rediss://")):
        raise ValueError("REDIS_URL must begin with redis:// or rediss://")
    return url


def rate_limits() -> dict[str, str]:
    """Budgets of requests that are not the usual ones (``RATE_LIMITS``, like ``chat=600/minute, pages=99/hour``)."""
    given = [entry.partition("=") for entry in (os.environ.get("RATE_LIMITS") or "").split(",") if entry.strip()]
    return {name.strip(): budget.strip() for name, _, budget in given}


def _kept_secret(name: str) -> str:
    """A random secret that is made on first use and kept in ``DATA_DIR``, mode 0600."""
    path = data_dir() / name
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{name}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(24))
        try:
            path.hardlink_to(draft)  # nobody reads half a secret, and of two makers one wins
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    if secret := path.read_text().strip():
        return secret
    raise ValueError(f"{path} is empty: remove it, and a new one is made / 文件是空的，删掉后会重新生成")


def admin_token() -> str:
    """What operators sign in with (``ADMIN_TOKEN``); made on first use and kept in ``DATA_DIR``, mode 0600."""
    return os.environ.get("ADMIN_TOKEN") or _kept_secret("admin_token")


def api_key() -> str:
    """What programs speak with for their own users (``API_KEY``); made on first use and kept in ``DATA_DIR``."""
    key = os.environ.get("API_KEY") or _kept_secret("api_key")
    if not re.fullmatch("[!-~]+", key):
        raise ValueError(
            "API_KEY must be visible ASCII characters, which a header can carry / API_KEY 只能用可见的 ASCII 字符"
        )
    return key


def mall_url() -> str | None:
    """Address of a mall that runs elsewhere, with the path of its API (``MALL_URL``, default none: the house's own)."""
    url = (os.environ.get("MALL_URL") or "").rstrip("/")
    if url and not url.startswith(("http://", "https://")):
        raise ValueError("MALL_URL must begin with https:// or http:// / MALL_URL 要以 https:// 开头")
    return url or None


def mall_key() -> str:
    """What that mall knows the house by (``MALL_KEY``)."""
    key = os.environ.get("MALL_KEY") or ""
    if not re.fullmatch("[!-~]+", key):
        raise ValueError(
            "MALL_URL is set, so MALL_KEY has to be, too: the key that the mall has given / MALL_KEY 要填商城给的密钥"
        )
    return key


def house_token() -> str:
    """What the parts of the house know one another by (``HOUSE_TOKEN``); made on first use and kept in ``DATA_DIR``."""
    token = os.environ.get("HOUSE_TOKEN") or _kept_secret("house_token")
    if not re.fullmatch("[!-~]+", token):
        raise ValueError("HOUSE_TOKEN must be visible ASCII characters / HOUSE_TOKEN 只能用可见的 ASCII 字符")
    return token


def house_headers() -> dict[str, str]:
    """What the bot and the action server want to see before they answer."""
    return {"Authorization": f"Bearer {house_token()}"}


def graph_port() -> int:
    return _port("GRAPH_PORT", 7687)


def graph_is_embedded() -> bool:
    """Whether the house starts a graph of its own; not where ``GRAPH_URI`` names one."""
    return not os.environ.get("GRAPH_URI")


def graph_dir() -> Path:
    """Folder of the embedded graph."""
    return data_dir() / "graph"


def rules_file() -> Path:
    """The after-sales rules (``RULES_FILE``, default the shipped table); what is saved there decides seconds later."""
    return _path("RULES_FILE", ROOT / "mall_adapter" / "rules" / "after_sales.json")


def proofs_file() -> Path:
    """How often a proof of an order may be wrong (``PROOFS_FILE``, default the shipped limits); taken as saved."""
    return _path("PROOFS_FILE", ROOT / "mall_adapter" / "rules" / "proofs.yml")


def promises_file() -> Path:
    """How soon the shop ships, waits for payment … (``PROMISES_FILE``, default the shipped ones); taken as saved."""
    return _path("PROMISES_FILE", ROOT / "mall_adapter" / "rules" / "promises.yml")


def desk_file() -> Path:
    """What the service desk keeps to (``DESK_FILE``, default the shipped numbers); taken as saved."""
    return _path("DESK_FILE", ROOT / "mall_adapter" / "rules" / "desk.yml")


def retention_file() -> Path:
    """How long messages and what customers have sent are kept (``RETENTION_FILE``, default the shipped table)."""
    return _path("RETENTION_FILE", ROOT / "connectors" / "retention.yml")


def notice_kinds_file() -> Path:
    """What the shop says by itself, and when (``NOTICE_KINDS_FILE``, default the shipped kinds); read at the start."""
    return _path("NOTICE_KINDS_FILE", ROOT / "mall_adapter" / "notices" / "kinds.yml")


def cards_file() -> Path:
    """What counts of smart cards (``CARDS_FILE``, default the shipped numbers); taken as saved."""
    return _path("CARDS_FILE", ROOT / "mall_adapter" / "rules" / "cards.yml")


def energy_file() -> Path:
    """What customers earn energy for, and what it buys (``ENERGY_FILE``, default the shipped table); taken as saved."""
    return _path("ENERGY_FILE", ROOT / "mall_adapter" / "rules" / "energy.yml")


def offers_file() -> Path:
    """What worried customers are offered (``OFFERS_FILE``, default the shipped table); taken as saved."""
    return _path("OFFERS_FILE", ROOT / "mall_adapter" / "rules" / "offers.json")


def budgets_file() -> Path:
    """What offers may cost, and the experiment (``BUDGETS_FILE``, default the shipped numbers); taken as saved."""
    return _path("BUDGETS_FILE", ROOT / "mall_adapter" / "rules" / "budgets.yml")


def kept_rules_file(name: str) -> Path:
    """A copy of the last good rules of this name, for when an operator breaks the file."""
    return data_dir() / "rules" / name


def knowledge_dir() -> Path:
    """The operator's own answers, read besides those in ``knowledge_graph/content``."""
    return data_dir() / "knowledge"


def sync_file() -> Path:
    """What keeping the graph in step has to tell people; ``knowledge_graph sync`` writes it, the gateway shows it."""
    return data_dir() / "sync.json"


def demo() -> bool | None:
    """Whether the demo mall is wanted (``DEMO``, 1 or 0); None: only where the house's own SQLite file is empty."""
    value = os.environ.get("DEMO", "")
    if value not in ("", "0", "1"):
        raise ValueError(f"DEMO must be 1 or 0, not {value!r}")
    return value == "1" if value else None


def demo_lives() -> bool:
    """Whether the orders of the demo mall move on by themselves (``DEMO_LIVE``, default 1; 0: they stay as seeded)."""
    value = os.environ.get("DEMO_LIVE", "1")
    if value not in ("0", "1"):
        raise ValueError(f"DEMO_LIVE must be 1 or 0, not {value!r}")
    return value == "1" and demo() is not False


def graph_uri() -> str:
    """Bolt address of the graph (``GRAPH_URI``, default the embedded one)."""
    return os.environ.get("GRAPH_URI") or f"bolt://{HOST}:{graph_port()}"


def graph_user() -> str:
    """``GRAPH_USER``; the embedded graph's is ``root``, Neo4j's ``neo4j``."""
    return os.environ.get("GRAPH_USER") or ("root" if graph_is_embedded() else "neo4j")


def graph_password() -> str:
    """``GRAPH_PASSWORD``; the embedded graph's is made on first use and kept in ``DATA_DIR``, mode 0600."""
    if given := os.environ.get("GRAPH_PASSWORD"):
        return given
    if not graph_is_embedded():
        raise ValueError("GRAPH_URI is set, so GRAPH_PASSWORD has to be, too")
    return _kept_secret("graph_password")


def public_url() -> str:
    """Address under which customers reach the gateway (``PUBLIC_URL``); https makes its cookies secure."""
    return (os.environ.get("PUBLIC_URL") or f"http://{HOST}:{gateway_port()}").rstrip("/")


def telegram_bot_token() -> str | None:
    """By which Telegram knows the shop's bot, as BotFather gives it (``TELEGRAM_BOT_TOKEN``, default none: Telegram is
    off)."""
    token = os.environ.get("TELEGRAM_BOT_TOKEN") or None
    if token and not re.fullmatch("[0-9]+:[A-Za-z0-9_-]+", token):
        raise ValueError(
            "TELEGRAM_BOT_TOKEN must look like 123456:ABC-def, as BotFather gives it / TELEGRAM_BOT_TOKEN 的格式不对"
        )
    return token


def telegram_api_base() -> str:
    """Address of Telegram's Bot API, or of a server of one's own that speaks it (``TELEGRAM_API_BASE``)."""
    base = (os.environ.get("TELEGRAM_API_BASE") or "https://api.telegram.org").rstrip("/")
    if not base.startswith(("http://", "https://")):
        raise ValueError("TELEGRAM_API_BASE must begin with https:// or http:// / TELEGRAM_API_BASE 要以 https:// 开头")
    return base


def telegram_webhook_secret() -> str:
    """What Telegram shows when it brings messages (``TELEGRAM_WEBHOOK_SECRET``); made on first use and kept in
    ``DATA_DIR``."""
    secret = os.environ.get("TELEGRAM_WEBHOOK_SECRET") or _kept_secret("telegram_webhook_secret")
    if not re.fullmatch("[A-Za-z0-9_-]{1,256}", secret):
        raise ValueError(
            "TELEGRAM_WEBHOOK_SECRET must be up to 256 letters, digits, _ and -"
            " / TELEGRAM_WEBHOOK_SECRET 只能用字母、数字、_ 和 -，最多 256 个"
        )
    return secret


@dataclass(frozen=True)
class WeChatCredentials:
    """Of a WeChat Official Account: ``token`` is the one that the operator has made up for its server settings."""

    app_id: str
    app_secret: str
    token: str


def wechat_credentials() -> WeChatCredentials | None:
    """``WECHAT_APP_ID``, ``WECHAT_APP_SECRET`` and ``WECHAT_TOKEN``; without them WeChat is off."""
    given = _all_or_none("WeChat", "微信", ("WECHAT_APP_ID", "WECHAT_APP_SECRET", "WECHAT_TOKEN"))
    return WeChatCredentials(*given) if given else None


def _all_or_none(english: str, chinese: str, names: Sequence[str]) -> list[str] | None:
    given = [(os.environ.get(name) or "").strip() for name in names]
    if missing := [name for name, value in zip(names, given, strict=True) if not value]:
        if len(missing) == len(names):
            return None
        raise ValueError(f"{english} needs {', '.join(missing)}, too / {chinese}还缺 {', '.join(missing)}")
    return given


def wechat_aes_key() -> str | None:
    """The EncodingAESKey (``WECHAT_AES_KEY``); with it nothing counts but what is sealed with it, without it messages
    come in plain text."""
    return (os.environ.get("WECHAT_AES_KEY") or "").strip() or None


def wechat_api_base() -> str:
    """Address of WeChat's API (``WECHAT_API_BASE``)."""
    return _https("WECHAT_API_BASE", "https://api.weixin.qq.com")


def _https(name: str, default: str) -> str:
    base = (os.environ.get(name) or default).rstrip("/")
    if not base.startswith(("https://", f"http://{HOST}:")):
        raise ValueError(f"{name} must begin with https:// / {name} 要以 https:// 开头")
    return base


@dataclass(frozen=True)
class WeComCredentials:
    """Of a company's customer service (微信客服); ``token`` and ``aes_key`` are those of its callback."""

    corp_id: str
    kf_secret: str
    token: str
    aes_key: str


def wecom_credentials() -> WeComCredentials | None:
    """``WECOM_CORP_ID``, ``WECOM_KF_SECRET``, ``WECOM_TOKEN`` and ``WECOM_AES_KEY``; without them 微信客服 is off."""
    names = ("WECOM_CORP_ID", "WECOM_KF_SECRET", "WECOM_TOKEN", "WECOM_AES_KEY")
    given = _all_or_none("WeCom", "微信客服", names)
    return WeComCredentials(*given) if given else None


def wecom_api_base() -> str:
    """Address of WeCom's API (``WECOM_API_BASE``)."""
    return _https("WECOM_API_BASE", "https://qyapi.weixin.qq.com")


def wechat_notice_file() -> Path | None:
    """What customers are told who may not be sent a message now, by kind (``WECHAT_NOTICE_FILE``, default nothing)."""
    return _path("WECHAT_NOTICE_FILE", ROOT) if os.environ.get("WECHAT_NOTICE_FILE") else None


def wechat_menu_file() -> Path:
    """The account's menu (``WECHAT_MENU_FILE``, default the shipped one)."""
    return _path("WECHAT_MENU_FILE", ROOT / "connectors" / "wechat" / "menu.yml")


def embed_origins() -> list[str]:
    """Sites whose pages may hold the web chat (``EMBED_ORIGINS``, like ``https://www.shop.example``, with commas;
    default none)."""
    given = [entry.strip().lower() for entry in (os.environ.get("EMBED_ORIGINS") or "").split(",") if entry.strip()]
    for entry in given:
        # a whole origin and nothing else: it goes into a header
        if not re.fullmatch(r"https?://([a-z0-9-]+\.)*[a-z0-9-]+(:[0-9]{1,5})?", entry):
            raise ValueError(f"EMBED_ORIGINS must name origins like https://www.shop.example, not {entry!r}")
    return given


def desk_hours() -> tuple[time, time]:
    """When people serve, every day in Asia/Shanghai (``DESK_HOURS``, default ``09:00-21:00``): opening and closing."""
    value = os.environ.get("DESK_HOURS") or "09:00-21:00"
    clock = r"([01]\d|2[0-4]):([0-5]\d)"
    found = re.fullmatch(f"{clock}-{clock}", value)
    minutes = [int(part) for part in found.groups()] if found else [0, 0, 0, 0]
    opens, closes = minutes[0] * 60 + minutes[1], minutes[2] * 60 + minutes[3]
    if not opens < closes <= 24 * 60:
        raise ValueError(f"DESK_HOURS must look like 09:00-21:00 and not pass midnight, not {value!r}")
    return time(opens // 60, opens % 60), time.max if closes == 24 * 60 else time(closes // 60, closes % 60)


def models_dir() -> Path:
    """Folder of what was trained (``MODELS_DIR``, default ``models/``)."""
    return _path("MODELS_DIR", ROOT / "models")


def worry_model() -> Path | None:
    """Folder of a classifier in ONNX that tells worry instead of the house's own (``WORRY_MODEL``, default none)."""
    value = os.environ.get("WORRY_MODEL")
    return (ROOT / value) if value else None


def answering_dir() -> Path:
    """What ``make train`` has learned for finding answers: an encoder and a judge."""
    return models_dir() / "answering"


def retrievers_dir() -> Path:
    """What was learned from the answers in a graph; made anew from them when it is missing."""
    return models_dir() / "retrievers"
