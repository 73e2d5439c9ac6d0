"""What starves or dies is told in the health within seconds, and the gateway goes on."""

from __future__ import annotations

import resource
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, ViewportSize, expect, sync_playwright

import settings
from connectors.supervision import VARIABLE, WINDOW, Life, tell
from privacy import KeyRing
from tests.connectors.conftest import Gateway, fake_graph
from tests.connectors.fake_rasa import FakeRasa
from tests.stack import UNPRIVILEGED

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
RULES = settings.rules_file()
WIDTHS = {"phone": ViewportSize(width=360, height=740), "desktop": ViewportSize(width=1280, height=800)}


@pytest.fixture(scope="module")
def browser(starved: Starved) -> Iterator[Browser]:
    """After the gateway, which cannot be started beside it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def healthz(gateway: Gateway) -> dict[str, Any]:
    response = httpx.get(f"{gateway.url}/healthz", trust_env=False, timeout=60)
    health: dict[str, Any] = response.json()
    assert (
        (response.status_code == httpx.codes.OK)
        == (health["status"] == "ok")
        == ("down" not in set(health["parts"].values()))
    )
    return health


def down(gateway: Gateway) -> list[str]:
    return sorted(part for part, state in healthz(gateway)["parts"].items() if state == "down")


class Starved(Gateway):
    """A gateway that file modes bind, with an embedded graph's folder beside it."""

    through = UNPRIVILEGED

    def __init__(self, folder: Path, rasa_url: str) -> None:
        super().__init__(folder, rasa_url, **{VARIABLE: str(folder / "supervisor.json")})
        self.environment["RULES_FILE"] = str(folder / "rules.json")
        shutil.copy(RULES, folder / "rules.json")
        self.environment["GRAPH_PORT"] = str(self.graph_port)
        self.environment["MODELS_DIR"] = str(folder / "models")
        del self.environment["GRAPH_URI"]
        (folder / "graph/databases").mkdir(parents=True)
        (folder / "models/answering").mkdir(parents=True)
        (folder / "models/answering/trained.json").touch()
        KeyRing.load_or_create(folder / "keyring.json")


@pytest.fixture(scope="module")
def starved(rasa_server: FakeRasa, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Starved]:
    gateway = Starved(tmp_path_factory.mktemp("starved"), rasa_server.url)
    with fake_graph(gateway.graph_port):
        gateway.start()
        yield gateway
        gateway.kill()


def swapped(path: Path) -> Callable[[], None]:
    """The file is another one with the same content; returns what brings the old one back."""
    kept = path.with_name(f"{path.name}.kept")
    path.rename(kept)
    shutil.copy(kept, path)

    def mend() -> None:
        kept.replace(path)

    return mend


def gone(path: Path) -> Callable[[], None]:
    kept = path.with_name(f"{path.name}.kept")
    path.rename(kept)

    def mend() -> None:
        kept.rename(path)

    return mend


def with_mode(path: Path, mode: int) -> Callable[[], None]:
    before = path.stat().st_mode
    path.chmod(mode)
    return lambda: path.chmod(before)


def holding(path: Path, content: bytes) -> Callable[[], None]:
    before = path.read_bytes()
    path.write_bytes(content)

    def mend() -> None:
        path.write_bytes(before)

    return mend


@pytest.mark.parametrize(
    ("starve", "parts"),
    [
        pytest.param(lambda at: gone(at.database), ["database"], id="the database is gone"),
        pytest.param(lambda at: swapped(at.database), ["database"], id="the database is another file"),
        pytest.param(lambda at: with_mode(at.database, 0), ["database"], id="the database may not be opened"),
        pytest.param(lambda at: with_mode(at.database, 0o400), ["database"], id="the database may not be written"),
        pytest.param(lambda at: gone(at.folder / "keyring.json"), ["keyring"], id="the key ring is gone"),
        pytest.param(lambda at: holding(at.folder / "keyring.json", b"{"), ["keyring"], id="the key ring is damaged"),
        pytest.param(lambda at: with_mode(at.folder / "keyring.json", 0), ["keyring"], id="the key ring is unreadable"),
        pytest.param(lambda at: with_mode(at.folder, 0o500), ["data"], id="the data folder is read-only"),
        pytest.param(lambda at: gone(at.folder / "graph"), ["graph"], id="the graph's folder is gone"),
        pytest.param(
            lambda at: gone(at.folder), ["data", "database", "graph", "keyring"], id="the data folder is gone"
        ),
    ],
)
def test_what_starves_is_named_and_gets_well(
    starved: Starved, rasa: FakeRasa, starve: Callable[[Starved], Callable[[], None]], parts: list[str]
) -> None:
    assert down(starved) == []
    with ExitStack() as mend:
        mend.callback(starve(starved))
        assert down(starved) == parts
        assert starved.say("在吗").status_code == httpx.codes.OK
    assert down(starved) == []


def test_what_needs_what_is_stored_is_refused_and_not_broken(starved: Starved, rasa: FakeRasa) -> None:
    with httpx.Client(base_url=starved.url, trust_env=False) as visitor:
        visitor.get("/")
        mend = gone(starved.folder / "keyring.json")
        response = visitor.post("/api/feedback", json={"source": "returns", "helpful": True})
        mend()
    assert (response.status_code, response.json()["error"]["code"]) == (503, "storage_unavailable")
    assert response.headers["Retry-After"]


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux can limit what another process writes")
def test_a_full_disk_is_named_and_customers_are_answered(starved: Starved, rasa: FakeRasa) -> None:
    unlimited = resource.prlimit(starved.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    assert down(starved) == ["data"]
    assert starved.say("在吗").status_code == httpx.codes.OK
    resource.prlimit(starved.process.pid, resource.RLIMIT_FSIZE, unlimited)
    assert down(starved) == []


def test_what_a_part_goes_on_without_is_a_warning(starved: Starved, rasa: FakeRasa) -> None:
    rasa.warnings = ["no_model", "no_encoder"]
    mend = gone(starved.folder / "models")
    health = healthz(starved)
    assert health["status"] == "ok"
    told = [(each["part"], each["text"].split("，")[0]) for each in health["warnings"]]
    assert told == [("bot", "模型文件不见了"), ("bot", "语义模型不可用"), ("answers", "检索模型不见了")]
    mend()


def test_broken_rules_are_named_within_ten_seconds_and_good_ones_end_it(starved: Starved, rasa: FakeRasa) -> None:
    good = RULES.read_text(encoding="utf-8")
    file = starved.folder / "rules.json"

    def told_within_ten_looks() -> list[str]:
        """The gateway looks every two seconds."""
        for _ in range(100):
            if (warned := [each["part"] for each in healthz(starved)["warnings"]]) == expected:
                break
            time.sleep(0.2)
        return warned

    for content, expected in ((good, []), (good[:-20], ["rules"]), (good, [])):
        file.write_text(content, encoding="utf-8")
        assert told_within_ten_looks() == expected
        assert down(starved) == []


def test_what_the_supervisor_knows_is_told(starved: Starved, rasa: FakeRasa) -> None:
    now = time.time()
    lives = {
        "gateway": Life(running=True, deaths=[now]),
        "graph": Life(running=False, deaths=[now]),
        "sync": Life(given_up=True, deaths=[now - 2 * WINDOW] * 5),
        "bot": Life(running=True, deaths=[now - 2 * WINDOW]),
    }
    file = starved.folder / "supervisor.json"
    tell(file, lives)
    try:
        health = healthz(starved)
        assert down(starved) == ["graph", "sync"]
        told = {each["part"]: each["text"] for each in health["warnings"]}
        assert sorted(told) == ["gateway", "graph", "sync"]
        assert "已放弃" in told["sync"]
        assert "given up" in told["sync"]
        assert "died 1 times" in told["gateway"]
        tell(file, {"sync": Life(running=True)})
        assert healthz(starved)["parts"]["sync"] == "ok"
        assert healthz(starved)["warnings"] == []
        file.write_text("{")
        assert down(starved) == []
    finally:
        file.unlink()


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("width", WIDTHS)
def test_operators_see_it_at_the_top_of_every_page(
    starved: Starved, rasa: FakeRasa, browser: Browser, tmp_path: Path, width: str
) -> None:
    file = starved.folder / "supervisor.json"
    tell(file, {"sync": Life(given_up=True, deaths=[time.time()] * 5)})
    context = browser.new_context(viewport=WIDTHS[width], locale="zh-CN")
    page = context.new_page()
    page.goto(f"{starved.url}/dashboard")
    page.get_by_label("您的称呼").fill("小王")
    page.get_by_label("口令").fill((starved.folder / "admin_token").read_text().strip())
    page.get_by_role("button", name="登录").click()
    expect(page.get_by_role("button", name="退出")).to_be_visible()
    health = page.locator("#health")
    for path in ("", "/graph", "/gaps", f"/conversations/{'0' * 64}"):
        page.goto(f"{starved.url}/dashboard{path}")
        expect(health.get_by_text("图谱同步：不能正常工作")).to_be_visible()
        expect(health.get_by_text("图谱同步：连续退出 5 次，已放弃")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.screenshot(path=tmp_path / f"health-{width}{path.replace('/', '-')}.png")
    file.unlink()
    expect(health).to_be_hidden()
    context.close()
