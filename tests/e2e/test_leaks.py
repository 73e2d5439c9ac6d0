"""What customers say, and who they are, stands nowhere in clear: not in the database, not in a log."""

from __future__ import annotations

import secrets

import httpx
import pytest

from tests.stack import Stack

SECRETS = ("欧阳梨花", "梧桐路七弄", "13977776543", "ORD987650001", "鞋底开胶像鳄鱼")


@pytest.fixture(scope="module")
def files(stack: Stack) -> dict[str, bytes]:
    """Every file of the house's data folder after a conversation that names a person, a number and a reason."""
    sender = secrets.token_hex(6)
    with httpx.Client(base_url=stack.url, timeout=60) as client:
        for text in (
            "我叫欧阳梨花，住梧桐路七弄",
            "我想退货",
            "ORD987650001",
            "手机号13977776543",
            "退货 ORD12345 尾号5678",
            "鞋底开胶像鳄鱼",
            "算了",
        ):
            assert client.post("/api/chat", json={"sender": sender, "text": text}).status_code == httpx.codes.OK
    found = {str(path): path.read_bytes() for path in stack.data_dir.rglob("*") if path.is_file()}
    assert any(name.endswith("zhanggui.db") for name in found)
    assert any(name.endswith("bot.log") for name in found)
    return found


@pytest.mark.parametrize("secret", SECRETS)
def test_nothing_that_was_said_can_be_read(files: dict[str, bytes], secret: str) -> None:
    forms = {
        secret.encode(),
        secret.encode("utf-16-le"),
        secret.encode("unicode_escape"),
        secret.encode().hex().encode(),
    }
    assert [name for name, content in files.items() if any(form in content for form in forms)] == []


def test_names_and_phones_of_the_mall_are_sealed(files: dict[str, bytes]) -> None:
    """林小满 owns the demo orders."""
    database = b"".join(content for name, content in files.items() if "zhanggui.db" in name)
    assert b"ORD12345" in database  # the mall's own numbers are its keys
    assert "林小满".encode() not in database


def test_intents_and_actions_are_sealed(files: dict[str, bytes]) -> None:
    database = b"".join(content for name, content in files.items() if "zhanggui.db" in name)
    for name in (b"request_return", b"after_sales_form", b"action_listen"):
        assert name not in database
