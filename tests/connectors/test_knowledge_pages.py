"""The operators' pages about what the house knows, with a real graph behind them, in a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, ViewportSize, expect, sync_playwright

from knowledge_graph import reports
from knowledge_graph.entries import Problem
from tests.connectors.conftest import JUDGED, Gateway, aside
from tests.connectors.fake_rasa import FakeRasa
from tests.knowledge_graph.servers import PASSWORD, Embedded

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WIDTHS = {"phone": ViewportSize(width=360, height=740), "desktop": ViewportSize(width=1280, height=800)}
PATIENCE = 60_000
SIGN_IN = "/dashboard/api/session"


@contextmanager
def signed_in(gateway: Gateway) -> Iterator[httpx.Client]:
    token = Path(gateway.environment["DATA_DIR"], "admin_token").read_text().strip()
    with httpx.Client(base_url=gateway.url, trust_env=False, timeout=60) as client:
        assert client.post(SIGN_IN, json={"token": token, "name": "小王"}).status_code == 204
        yield client


# ---- what the pages ask ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["search", "around?label=Product&id=K1", "gaps"])
def test_without_signing_in_there_is_nothing_to_see(gateway: Gateway, path: str) -> None:
    response = httpx.get(f"{gateway.url}/dashboard/api/graph/{path}", trust_env=False)
    assert (response.status_code, response.json()["error"]["code"]) == (401, "signed_out")
    for page in ("graph", "gaps"):
        assert "口令" in httpx.get(f"{gateway.url}/dashboard/{page}", trust_env=False).text


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("水壶", ["Category 电水壶", "Faq descaling", "Product K3", "Product C1", "Product K1", "Product K2"]),
        ("电水壶1.5l", ["Product K1"]),
        ("禾炊", ["Brand 禾炊", "Product K1", "Product K2"]),
        ("无理由", ["Policy no_reason_return"]),
        ("no_reason_return", ["Policy no_reason_return"]),
        ("大象", []),
        ("' OR 1=1 //", []),
        (
            "",
            ["Category 清洁用品", "Category 电水壶", "Topic product_question", "Topic return_exchange"],
        ),
    ],
)
def test_finding_something_to_begin_with(house: Gateway, words: str, found: list[str]) -> None:
    with signed_in(house) as operator:
        answer = operator.get("/dashboard/api/graph/search", params={"words": words}).json()
    assert sorted(f"{node['label']} {node['id']}" for node in answer["nodes"]) == sorted(found)
    if words and found:
        assert f"{answer['nodes'][0]['label']} {answer['nodes'][0]['id']}" == found[0]


def around(gateway: Gateway, label: str, node_id: str, hops: int = 1) -> httpx.Response:
    with signed_in(gateway) as operator:
        return operator.get("/dashboard/api/graph/around", params={"label": label, "id": node_id, "hops": hops})


def test_a_product_and_what_stands_around_it(house: Gateway) -> None:
    answer = around(house, "Product", "K1").json()
    nodes = answer["nodes"]
    assert nodes[0] == {"label": "Product", "id": "K1", "name": "禾炊 电水壶 1.5 L"}
    told = {(nodes[edge["source"]]["id"], edge["kind"], nodes[edge["target"]]["id"]) for edge in answer["edges"]}
    assert told >= {
        ("K1", "IN_CATEGORY", "电水壶"),
        ("K1", "HAS", "材质：不锈钢"),
        ("C1", "COMPATIBLE_WITH", "K1"),
        ("K3", "SUBSTITUTE_FOR", "K1"),
    }
    assert answer["details"]["product"]["attributes"]["功率"] == "1800 W"
    assert len(around(house, "Product", "K1", hops=2).json()["nodes"]) > len(nodes)


@pytest.mark.parametrize(
    ("label", "node_id", "expected"),
    [
        ("Policy", "no_reason_return", {"text": "签收后 7 天内可以无理由退。", "holds": True, "thumbs": (1, 0)}),
        ("Faq", "descaling", {"text": "放一勺除垢剂，烧开后倒掉。", "holds": False, "thumbs": (0, 2)}),
    ],
)
def test_an_answer_with_its_thumbs(house: Gateway, label: str, node_id: str, expected: dict[str, Any]) -> None:
    details = around(house, label, node_id).json()["details"]
    assert (details["answer"]["text"], details["answer"]["holds"]) == (expected["text"], expected["holds"])
    assert (details["feedback"]["up"], details["feedback"]["down"]) == expected["thumbs"]


@pytest.mark.parametrize(
    ("label", "node_id", "hops", "status"),
    [("Product", "K9", 1, 404), ("Planet", "K1", 1, 404), ("Gap", "x", 1, 404), ("Product", "K1", 3, 422)],
)
def test_what_is_not_there(house: Gateway, label: str, node_id: str, hops: int, status: int) -> None:
    assert around(house, label, node_id, hops).status_code == status


def test_the_unanswered_and_the_unhelpful(house: Gateway) -> None:
    with signed_in(house) as operator:
        answer = operator.get("/dashboard/api/graph/gaps").json()
    assert [(gap["texts"], gap["topic"], gap["count"]) for gap in answer["gaps"]] == [
        (["能送火星吗", "火星能送吗"], "delivery", 3),
        (["支持刷脸支付吗"], None, 1),
    ]
    worst = [one for one in answer["worst"] if one["source"] != JUDGED.id]
    assert [(one["source"], one["title"], one["label"], one["down"]) for one in worst] == [
        ("descaling", "水壶怎么除垢", "Faq", 2),
        ("gone", None, None, 1),
    ]


PROBLEMS = (
    Problem("knowledge/价格.xlsx", 3, "answer", "<b>不能为空</b> / it is empty", sheet="二季度"),
    Problem("knowledge/价格.xlsx", 5, "id", "编号不能重复 / this id is used twice"),
    Problem("knowledge/x.csv", 0, "title", "标题一样 / two answers have this title", left_out=False),
)


@contextmanager
def told_by_sync(gateway: Gateway, report: reports.Report) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATA_DIR", gateway.environment["DATA_DIR"])
        reports.write(report)
        yield
        reports.write(reports.Report())


def test_a_file_that_cannot_be_read_is_a_warning_and_no_fault(house: Gateway, rasa: FakeRasa) -> None:
    with told_by_sync(house, reports.Report(PROBLEMS)), signed_in(house) as operator:
        health = operator.get("/healthz")
        assert (health.status_code, health.json()["parts"]["knowledge"]) == (200, "ok")
        (told,) = health.json()["warnings"]
        assert told["part"] == "knowledge"
        assert told["text"].startswith("knowledge/价格.xlsx【二季度】 第 3 行 answer (row 3)：")
        assert told["text"].endswith("（共 2 处 / 2 in all）")
        shown = operator.get("/dashboard/api/graph/files").json()
        assert [one["row"] for one in shown["problems"]] == [3, 5, 0]
    assert httpx.get(f"{house.url}/dashboard/api/graph/files", trust_env=False).status_code == 401
    assert httpx.get(f"{house.url}/healthz", trust_env=False).json()["warnings"] == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"problems": [{}], "trouble": ""}', '{"problems": 1}'])
def test_a_report_that_cannot_be_read_is_none(house: Gateway, rasa: FakeRasa, content: str) -> None:
    with told_by_sync(house, reports.Report()):
        Path(house.environment["DATA_DIR"], "sync.json").write_text(content)
        assert httpx.get(f"{house.url}/healthz", trust_env=False).json()["warnings"] == []


def test_a_graph_that_is_down_is_said_and_the_chat_goes_on(gateway: Gateway) -> None:
    with signed_in(gateway) as operator:
        for path in ("search", "around?label=Product&id=K1", "gaps"):
            response = operator.get(f"/dashboard/api/graph/{path}")
            assert (response.status_code, response.json()["error"]["code"]) == (503, "graph_unavailable")
            assert "暂时" in response.json()["error"]["message"]
    assert gateway.say("在吗").status_code == 200


# ---- as an operator sees them ----------------------------------------------------------------------------------------

with_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-component-update"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


class Operator:
    """A signed-in operator's browser, by what a person sees and does."""

    def __init__(self, page: Page, gateway: Gateway) -> None:
        self.page = page
        self.url = gateway.url
        self.port = gateway.port
        self.faults: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("request", self._watch)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", self._listen)
        self.goes("graph")
        page.get_by_label("您的称呼").fill("小王")
        page.get_by_label("口令").fill(Path(gateway.environment["DATA_DIR"], "admin_token").read_text().strip())
        page.get_by_role("button", name="登录").click()
        expect(page.get_by_role("button", name="退出")).to_be_visible()

    def _watch(self, request: Request) -> None:
        if not request.url.startswith("data:") and urlsplit(request.url).netloc != f"127.0.0.1:{self.port}":
            self.faults.append(request.url)

    def _listen(self, line: ConsoleMessage) -> None:
        if line.type == "error" and "503" not in line.text:  # the browser's own remark on a graph that is down
            self.faults.append(line.text)

    def goes(self, page: str) -> None:
        self.page.goto(f"{self.url}/dashboard/{page}")

    @property
    def panel(self) -> Any:
        return self.page.get_by_label("详情")

    def fits(self) -> bool:
        return bool(self.page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


in_both_widths = pytest.mark.parametrize("operator", list(WIDTHS), indirect=True)
"""What a test says for which the width matters."""


@pytest.fixture
def operator(request: pytest.FixtureRequest, browser: Browser, house: Gateway) -> Iterator[Operator]:
    """At a desktop, if a test says nothing else."""
    width = WIDTHS[getattr(request, "param", "desktop")]
    context = browser.new_context(viewport=width, locale="zh-CN", reduced_motion="reduce")
    yield Operator(context.new_page(), house)
    context.close()


@with_browser
@in_both_widths
def test_walking_through_the_graph(operator: Operator, tmp_path: Path) -> None:
    page = operator.page
    expect(page.get_by_role("link", name="退换货")).to_be_visible()  # something to begin with
    page.screenshot(path=tmp_path / "1-begin.png")
    page.get_by_role("searchbox").fill("没有这种东西")
    expect(page.get_by_text("没有找到")).to_be_visible()
    page.get_by_role("searchbox").fill("电水壶 1.5")
    page.get_by_role("link", name="禾炊 电水壶 1.5 L").click()
    expect(operator.panel.get_by_role("heading", name="禾炊 电水壶 1.5 L")).to_be_visible()
    page.screenshot(path=tmp_path / "2-product.png")
    operator.panel.get_by_role("link", name="电水壶 → 品类", exact=True).click()
    expect(operator.panel.get_by_role("heading", name="电水壶", exact=True)).to_be_visible()
    operator.panel.get_by_role("link", name="水壶怎么除垢").click()
    expect(operator.panel).to_contain_text("现在不生效")
    expect(operator.panel.get_by_role("img", name="没用").locator("..")).to_have_text(" 2")
    expect(operator.panel).to_contain_text("壶底有水垢怎么办")
    page.screenshot(path=tmp_path / "3-answer.png")
    page.go_back()
    expect(operator.panel.get_by_role("heading", name="电水壶", exact=True)).to_be_visible()
    page.get_by_label("看两层").check()
    page.wait_for_load_state("networkidle")
    page.screenshot(path=tmp_path / "4-two-hops.png")
    assert operator.fits()
    assert operator.faults == []


POINTED = """() => {
    const canvas = document.querySelector('#canvas canvas'), root = canvas.parentElement;
    const { left, top, right, bottom } = canvas.getBoundingClientRect();
    const spots = [];
    for (let y = top; y < bottom; y += 8)
        for (let x = left; x < right; x += 8) {
            canvas.dispatchEvent(new MouseEvent('mousemove', { clientX: x, clientY: y, bubbles: true }));
            if (root.style.cursor === 'pointer') spots.push([x, y]);
        }
    return spots;
}"""


@with_browser
def test_a_click_on_a_node_walks_there(operator: Operator) -> None:
    operator.goes("graph#Topic/return_exchange")  # one neighbour only
    expect(operator.panel.get_by_role("heading", name="退换货")).to_be_visible()
    canvas = operator.page.locator("#canvas canvas")
    box = canvas.bounding_box()
    assert box
    spots = operator.page.evaluate(POINTED)  # where the pointer shows a node; not in the middle, where we are
    away = [(x, y) for x, y in spots if abs(x - box["x"] - box["width"] / 2) > 40]
    operator.page.mouse.click(*away[len(away) // 2])
    expect(operator.panel.get_by_role("heading", name="无理由退货的条件")).to_be_visible()
    assert operator.faults == []


@with_browser
def test_a_node_that_is_gone(operator: Operator) -> None:
    operator.goes("graph#Product/K9")
    expect(operator.page.get_by_role("status")).to_contain_text("可能刚被删掉了")
    expect(operator.panel).to_be_hidden()


@with_browser
@in_both_widths
def test_questions_without_an_answer(operator: Operator, tmp_path: Path) -> None:
    operator.page.get_by_role("link", name="未答问题").click()
    asked = operator.page.locator("#asked > li")
    expect(asked).to_have_count(2)
    expect(asked.first).to_contain_text("能送火星吗")
    expect(asked.first).to_contain_text("3 次")
    expect(asked.last.locator("details")).to_have_count(0)
    in_other_words = asked.first.get_by_text("火星能送吗", exact=True)
    expect(in_other_words).to_be_hidden()
    asked.first.get_by_text("还有 1 种问法").click()
    expect(in_other_words).to_be_visible()
    asked.first.element_handle().wait_for_element_state("hidden")  # it is drawn anew, some seconds later
    expect(in_other_words).to_be_visible()
    expect(operator.page.locator("#worst li").first).to_contain_text("水壶怎么除垢")
    expect(operator.page.locator("#worst li", has_text="gone")).to_contain_text("已经删掉了")
    operator.page.screenshot(path=tmp_path / "1-gaps.png")
    assert operator.fits()
    operator.page.get_by_role("link", name="水壶怎么除垢").click()
    expect(operator.panel).to_contain_text("壶底有水垢怎么办")
    operator.page.get_by_role("link", name="排队").click()
    expect(operator.page.get_by_text("没有人在等")).to_be_visible()
    operator.page.screenshot(path=tmp_path / "2-desk.png")
    assert operator.fits()
    operator.page.get_by_role("link", name="待训练").click()
    expect(operator.page.get_by_text("机器人都听懂了")).to_be_visible()
    assert operator.faults == []


@with_browser
@in_both_widths
def test_files_of_answers_that_are_not_well(operator: Operator, house: Gateway, tmp_path: Path) -> None:
    files = operator.page.locator("#problems > li")
    with told_by_sync(house, reports.Report(PROBLEMS)):
        operator.goes("gaps")
        expect(files).to_have_count(3)
        expect(files.first).to_contain_text("没读进来")
        expect(files.first).to_contain_text("工作表“二季度”")
        expect(files.first).to_contain_text("第 3 行")
        expect(files.first).to_contain_text("<b>不能为空</b>")
        expect(files.last).to_contain_text("请看一下")
        operator.page.screenshot(path=tmp_path / "files.png")
        assert operator.fits()
    expect(operator.page.locator("#files")).to_be_hidden(timeout=PATIENCE)  # it asks again by itself
    assert operator.faults == []


@with_browser
def test_a_graph_that_is_down_and_comes_back(browser: Browser, rasa: FakeRasa, tmp_path: Path) -> None:
    server = Embedded(tmp_path / "graph")  # not started yet
    access = {"GRAPH_URI": server.uri, "GRAPH_USER": "root", "GRAPH_PASSWORD": PASSWORD}
    gateway = aside(lambda: Gateway(tmp_path, rasa.url, **access))
    gateway.start()
    context = browser.new_context(viewport=WIDTHS["phone"], locale="zh-CN")
    try:
        operator = Operator(context.new_page(), gateway)
        for page in ("gaps", "graph"):
            operator.goes(page)
            expect(operator.page.get_by_role("status")).to_contain_text("知识图谱暂时连不上")
            operator.page.screenshot(path=tmp_path / f"{page}-down.png")
        aside(server.start)
        expect(operator.page.get_by_text("图谱还是空的")).to_be_visible()
        expect(operator.page.get_by_role("status")).to_be_hidden()
        operator.page.screenshot(path=tmp_path / "graph-empty.png")
        operator.goes("gaps")
        expect(operator.page.get_by_text("没有答不上来的问题")).to_be_visible()
        operator.page.screenshot(path=tmp_path / "gaps-empty.png")
    finally:
        context.close()
        gateway.kill()
        if server.process:
            server.kill()
