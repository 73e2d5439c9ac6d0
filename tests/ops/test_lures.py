"""No text of the house promises anything for passing a card on; a text that did would be found."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.lures import promises, texts


def test_the_house_promises_nothing() -> None:
    assert [(place, found) for place, text in texts() if (found := promises(text))] == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("欢迎光临。转发名片，朋友点开您得 {energy} 点能量！", 1),
        ("分享给三个好友即可领取优惠券", 1),
        ("转发有奖", 1),
        ("Share this card and earn 20 energy points.", 1),
        ("微信里光转发、点开不给能量。", 0),
        ("朋友的首单过了退货期，您得 {energy_order} 点。", 0),
        ("每 100 点能量换一张券，可以分享给家人看看。", 0),
        ("You get nothing for forwarding the card.", 0),
    ],
)
def test_a_promise_is_found(text: str, found: int) -> None:
    assert len(promises(text)) == found


def test_every_kind_of_text_is_read(tmp_path: Path) -> None:
    lure = "转发名片得能量"
    for name, content in (
        ("bot/domain.yml", f"responses: {{utter_x: [{{text: {lure}, buttons: [{{title: 好, payload: /x}}]}}]}}"),
        ("connectors/cards/card.yml", f"greeting: {lure}"),
        ("connectors/cards/page.html", f"<p>好</p>\n<p>{lure}</p>"),
        ("connectors/cards/card.svg", f"<svg><text>{lure}</text></svg>"),
        ("mall_adapter/notices/kinds.yml", f"footer: {lure}"),
        ("knowledge_graph/content/card.yml", f"entries: [{{id: one, answer: {lure}, ask: [{lure}]}}]"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, "utf-8")
    assert len([place for place, text in texts(tmp_path) if promises(text)]) == 6
