"""Whatever dies in the middle of a message: it is answered once, and nobody is told nothing."""

from __future__ import annotations

import sqlite3
import subprocess
import threading
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.connectors.conftest import Gateway, free_port
from tests.connectors.fake_rasa import FakeRasa, serve


def kill_in_the_middle(mortal_gateway: Gateway, rasa: FakeRasa) -> None:
    rasa.gate.clear()  # the bot is still thinking …
    lost: list[Exception] = []

    def customer() -> None:
        try:
            mortal_gateway.say("颜色不喜欢", "阿花", "m-1")
        except httpx.TransportError as error:
            lost.append(error)

    speaking = threading.Thread(target=customer)
    speaking.start()
    assert rasa.arrived.acquire(timeout=60)
    with closing(sqlite3.connect(mortal_gateway.database)) as database:  # it is written down beside that
        while not database.execute("SELECT count(*) FROM inbox").fetchone()[0]:
            time.sleep(0.01)
    mortal_gateway.kill()  # … when the gateway dies
    speaking.join()
    assert lost
    rasa.gate.set()


def test_a_message_whose_gateway_was_killed_goes_to_the_bot_again(mortal_gateway: Gateway, rasa: FakeRasa) -> None:
    kill_in_the_middle(mortal_gateway, rasa)
    mortal_gateway.start()
    answer = mortal_gateway.say("颜色不喜欢", "阿花", "m-1").json()
    assert answer["messages"] == [{"text": "收到：颜色不喜欢"}]
    before, *after = rasa.calls
    assert set(after) == {before}  # the sender and the id by which the bot knows it again


def test_another_process_answers_though_the_customer_does_not_send_it_again(
    mortal_gateway: Gateway, rasa: FakeRasa
) -> None:
    kill_in_the_middle(mortal_gateway, rasa)
    worker = mortal_gateway.command("worker", stderr=subprocess.DEVNULL)
    assert rasa.arrived.acquire(timeout=60)
    before, after = rasa.calls
    assert before == after
    worker.terminate()
    assert worker.wait(30) == 0
    mortal_gateway.start()
    mortal_gateway.say("谢谢", "阿花", "m-2")
    assert rasa.texts() == ["颜色不喜欢", "谢谢"]


def test_a_bot_that_is_started_again_gets_the_same_message_again(gateway: Gateway, rasa: FakeRasa) -> None:
    rasa.failures[:] = [503, 503]
    assert gateway.say("我想退货", "重启", "m-1").json()["messages"] == [{"text": "收到：我想退货"}]
    assert [call.message_id for call in rasa.calls] == ["m-1", "m-1", "m-1"]


def test_a_bot_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    port = free_port()
    gateway = Gateway(tmp_path, f"http://127.0.0.1:{port}")
    gateway.start()
    try:
        answers: list[httpx.Response] = []
        customer = threading.Thread(target=lambda: answers.append(gateway.say("在吗")))
        customer.start()
        while "bot away (ClientConnectorError)" not in gateway.log.read_text():
            assert customer.is_alive()
        with serve(port):
            customer.join()
        assert answers[0].json()["messages"] == [{"text": "收到：在吗"}]
    finally:
        assert gateway.stop() == 0


@pytest.mark.parametrize(
    "failure", [500, 404, b"[]", b"not json", b'{"messages": "x", "understood": {}}'], ids=lambda failure: repr(failure)
)
def test_what_is_not_an_answer_becomes_a_polite_503_and_the_next_message_works(
    gateway: Gateway, rasa: FakeRasa, failure: int | bytes
) -> None:
    sender = f"故障 {failure!r}"
    rasa.failures[:] = [failure]
    response = gateway.say("我想退货", sender, "m-1")
    assert (response.status_code, response.json()["error"]["code"]) == (503, "bot_unavailable")
    assert "没有丢" in response.json()["error"]["message"]
    assert int(response.headers["retry-after"]) > 0

    assert gateway.say("我想退货", sender, "m-1").status_code == 200  # the same message, sent again
    assert [call.message_id for call in rasa.calls] == ["m-1", "m-1"]
    assert gateway.say("还在吗", sender).status_code == 200


def test_neither_database_nor_log_hold_the_words(mortal_gateway: Gateway, rasa: FakeRasa) -> None:
    rasa.answers["我叫王小明，电话 13800005678"] = [{"text": "王小明您好，单号 ORD12345"}]
    mortal_gateway.say("我叫王小明，电话 13800005678", "wangxiaoming", "m-1")
    assert mortal_gateway.say("\u0000王小明", "wangxiaoming", "m-2").status_code == 422
    assert mortal_gateway.stop() == 0

    files = [path.read_bytes() for path in mortal_gateway.log.parent.rglob("*") if path.is_file()]
    for secret in ("王小明", "13800005678", "ORD12345", "wangxiaoming"):
        for form in (secret.encode(), secret.encode("unicode_escape"), secret.encode().hex().upper().encode()):
            assert not any(form in content for content in files), secret
    assert "turn m-1" in mortal_gateway.log.read_text()


def test_a_wrong_key_ring_stops_the_start_with_a_reason(mortal_gateway: Gateway, rasa: FakeRasa) -> None:
    mortal_gateway.say("你好")
    mortal_gateway.stop()
    Path(mortal_gateway.environment["KEYRING_FILE"]).unlink()
    process = mortal_gateway.command(stderr=-1)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "key ring is missing" in errors
    assert "Traceback" not in errors
