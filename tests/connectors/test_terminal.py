"""``make chat``: the conversation of the web page, typed."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from select import select

from settings import ROOT
from tests.connectors.conftest import Gateway, free_port
from tests.connectors.fake_rasa import FakeRasa


def typed(gateway: Gateway, *lines: str) -> tuple[int, str]:
    process = gateway.command("chat", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output, _ = process.communicate("".join(f"{line}\n" for line in lines), timeout=60)
    return process.returncode, output


def test_a_conversation_with_a_numbered_button(gateway: Gateway, rasa: FakeRasa) -> None:
    rasa.answers["我想退货"] = [
        {
            "text": "请选择原因",
            "buttons": [{"title": "不喜欢", "payload": "/inform_1"}, {"title": "质量问题", "payload": "/inform_2"}],
        },
        {"image": "/static/shoes.png"},
    ]
    code, output = typed(gateway, "我想退货", "2", "2", "", "x" * 3_000)
    assert code == 0
    assert "掌柜: 请选择原因\n" in output
    assert "  1. 不喜欢\n  2. 质量问题\n" in output
    assert "/static/shoes.png" in output
    assert "收到：/inform_2" in output
    assert "太长了" in output
    assert "再见" in output  # the end of the input is Ctrl-D
    assert rasa.texts() == ["我想退货", "/inform_2", "2"]  # a number chooses only among buttons just shown
    assert len({call.sender for call in rasa.calls}) == 1


def test_goods_a_table_and_a_source_are_told_as_text(gateway: Gateway, rasa: FakeRasa) -> None:
    goods = [
        {"title": "禾炊 电水壶", "text": "¥99 起", "button": {"title": "看看它", "payload": "/look_1"}},
        {"title": "净谷 水壶", "text": "¥120", "image": "/k2.png", "button": {"title": "就它了", "payload": "/look_2"}},
        {"title": "没有按钮的"},
    ]
    table = {"columns": ["", "禾炊 电水壶", "B"], "rows": [["续航", "8 h", "6 h"], ["IP", "67", "六八"]]}
    source = {"id": "no_reason_return", "title": "无理由退货的条件", "valid_until": "2027-12-31"}
    rasa.answers["比一比"] = [
        {"text": "差别在这里", "custom": {"table": table, "source": source}},
        {"custom": {"cards": goods}},
    ]
    rasa.answers["长期"] = [{"text": "一直有效", "custom": {"source": {"id": "x", "title": "一直这样"}}}]
    _, output = typed(gateway, "比一比", "2", "长期")
    assert (
        "掌柜: 差别在这里\n"
        "        禾炊 电水壶  B\n"
        "  续航  8 h          6 h\n"
        "  IP    67           六八\n"
        "  （来源：无理由退货的条件，有效期至 2027-12-31）\n"
        "  〔禾炊 电水壶〕¥99 起\n"
        "  1. 看看它\n"
        "  〔净谷 水壶〕¥120\n"
        "  2. 就它了\n"
        "  〔没有按钮的〕\n"
    ) in output
    assert "收到：/look_2" in output
    assert "（来源：一直这样）" in output


def test_ctrl_c_leaves_without_a_traceback(gateway: Gateway, rasa: FakeRasa) -> None:
    controller, terminal = pty.openpty()
    process = gateway.command("chat", stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    output = b""
    while "您: ".encode() not in output:
        output += os.read(controller, 1024)
    process.send_signal(signal.SIGINT)
    while not select([controller], [], [], 10)[0]:  # it may have come before the prompt listens for it
        process.send_signal(signal.SIGINT)
    while True:
        try:
            piece = os.read(controller, 1024)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        output += piece
    assert process.wait(60) == 0
    assert "再见" in output.decode()
    assert b"Traceback" not in output


def test_a_lost_gateway_is_said_kindly(gateway: Gateway, rasa: FakeRasa) -> None:
    environment = gateway.environment | {"GATEWAY_PORT": str(free_port())}
    impatient = "from connectors import terminal; terminal.PATIENCE = 0.5; terminal.chat()"
    process = subprocess.Popen(
        [sys.executable, "-c", impatient],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    output, _ = process.communicate("在吗\n", timeout=60)
    assert process.returncode == 0
    assert "正在重连" in output
    assert "make run" in output
