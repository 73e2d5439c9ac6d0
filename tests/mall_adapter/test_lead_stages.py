"""The table by which leads grow warm."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from mall_adapter.leads import LeadStage, stages


@pytest.mark.parametrize(
    ("facts", "then"),
    [
        ({}, "awareness"),
        ({"opened": 2}, "interest"),
        ({"asked": 1}, "interest"),
        ({"asked": 3}, "consideration"),
        ({"price_inquiry": 3, "asked": 3}, "intent"),
        ({"price_inquiry": 1, "delivery": 1, "asked": 2}, "intent"),
        ({"price_inquiry": 1, "asked": 1, "silent_days": 30}, "lost"),
        ({"orders": 1, "silent_days": 90}, "converted"),
    ],
)
def test_the_table(facts: dict[str, int], then: str) -> None:
    assert stages.STAGES.decide(facts).stage == LeadStage(then)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"when": {"prise_inquiry": 1}, "stage": "intent"}, "no such facts: prise_inquiry"),
        ({"when": {"asked": 1}, "stage": "hot"}, "stage"),
        ({"stage": "interest"}, "the last row, and no other"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    table = yaml.safe_load((stages.HERE / "stages.yml").read_text("utf-8"))
    table["rows"].insert(0, change)
    file = tmp_path / "stages.yml"
    file.write_text(yaml.safe_dump(table))
    with pytest.raises(ValidationError, match=words):
        stages.read_stages(file)


def test_silence_is_by_the_table() -> None:
    assert stages.STAGES.silence == timedelta(days=30)
