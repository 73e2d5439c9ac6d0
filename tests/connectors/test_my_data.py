"""The page of a copy: whoever has the link and knows the phone gets the file, once, in a real browser, too."""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import SqlMall, models
from mall_adapter.data_rights import PARTS, DataRights, Link
from mall_adapter.proof_limits import ProofLimits
from tests.connectors.conftest import Gateway
from tests.connectors.shop import Shop

from .test_knowledge_pages import browser, with_browser

__all__ = ["browser"]  # fixtures


@pytest.fixture
def asked(shop: Shop, gateway: Gateway) -> tuple[str, str]:
    """The address of a customer's copy, and the end of their phone."""
    _, sender = shop.delivered()
    phones: list[str] = []

    async def ask(mall: SqlMall, _: object) -> Link:
        async with AsyncSession(mall.database.engine) as session:
            phones.append((await session.get_one(models.Customer, sender.removeprefix("web:"))).phone)
        house = DataRights(mall.database.engine, ProofLimits.load())
        return await house.ask_copy(sender, sender)

    return f"{gateway.url}/my-data/{shop.do(ask).token}", phones[0][-4:]


def test_a_copy_is_fetched_once_by_who_knows_the_phone(asked: tuple[str, str]) -> None:
    address, tail = asked
    with httpx.Client(trust_env=False, timeout=60) as client:
        for _ in range(3):  # messengers look, too
            page = client.get(address)
            assert page.status_code == 200 and "no-store" in page.headers["Cache-Control"]
        assert client.post(address, json={"tail": "x"}).status_code == 422
        elsewhere = client.post(address, json={"tail": tail}, headers={"Origin": "https://elsewhere.example"})
        assert elsewhere.status_code == 403
        wrong = client.post(address, json={"tail": f"{(int(tail) + 1) % 10_000:04}"})
        assert (wrong.status_code, wrong.json()["error"]["code"]) == (403, "wrong")
        answer = client.post(address, json={"tail": tail})
        assert answer.headers["Content-Type"] == "application/zip"
        assert client.post(address, json={"tail": tail}).json()["error"]["code"] == "over"
        assert client.get(address).status_code == 404
    with zipfile.ZipFile(io.BytesIO(answer.content)) as file:
        told, page_of_it = json.loads(file.read("data.json")), file.read("index.html").decode()
    assert told["profile"][0]["name"] == "周琳"
    assert len(told["orders"]) == 1
    assert "周琳" in page_of_it and told["orders"][0]["id"] in page_of_it
    assert "<script" not in page_of_it


def test_every_table_and_field_of_a_copy_has_its_words(gateway: Gateway) -> None:
    """Those that the parts name in their source: a field without words would break the page of who has such a row."""
    from connectors.copies.words import WORDS

    sources = {Path(part.export.__code__.co_filename) for part in PARTS if part.export}
    named = {name for file in sources for name in re.findall(r'^\s+"(\w+)": ', file.read_text("utf-8"), re.MULTILINE)}
    assert named - {"recipient_name", "recipient_phone"} <= WORDS.tables.keys() | WORDS.fields.keys()


@with_browser
def test_the_page_downloads_it(asked: tuple[str, str], browser: Browser, tmp_path: Path) -> None:
    address, tail = asked
    page = browser.new_context(viewport={"width": 390, "height": 700}, locale="zh-CN").new_page()
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.goto(address)
    page.get_by_label("手机号后四位").fill(tail)
    page.screenshot(path=tmp_path / "form.png")
    with page.expect_download() as download:
        page.get_by_role("button", name="下载").click()
    assert zipfile.is_zipfile(download.value.path())
    expect(page.get_by_role("status")).to_contain_text("下载好了")
    page.reload()
    expect(page.get_by_text("这个链接用不了了")).to_be_visible()
    assert [fault for fault in faults if "404" not in fault] == []
