"""The lines that teach feelings keep the promises of the others: enough, hand-made, apart from what measures them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.nlu.test_data import HELD_OUT, NUMBER, ROOT, TRAINING_FILES, bare, lines, near, plain, suspects

TRAINING = sorted((ROOT / "bot" / "data" / "worry").glob("*.yml"))
MEASURING = ROOT / "tests" / "nlu" / "worry.yml"
LABELS = ["worry", "anger", "urge", "neutral"]


def felt(*paths: Path) -> Iterator[tuple[str, str]]:
    """``(label, text)`` of every line."""
    for path in paths:
        for label, block in yaml.safe_load(path.read_text("utf-8")).items():
            yield from ((label, line[2:].strip()) for line in block.splitlines())


TAUGHT, MEASURED = list(felt(*TRAINING)), list(felt(MEASURING))


@pytest.mark.parametrize("label", LABELS)
def test_a_feeling_has_enough_lines(label: str) -> None:
    assert len(TAUGHT) >= 4500
    assert [one for one, _ in TAUGHT].count(label) >= 900
    assert [one for one, _ in MEASURED].count(label) >= 30


def test_no_line_stands_twice_and_none_that_measures_was_taught() -> None:
    kinds = [bare(text) for _, text in (*TAUGHT, *MEASURED)]
    assert sorted({kind for kind in kinds if kinds.count(kind) > 1}) == []
    spoken = {bare(text) for _, text in lines(*TRAINING_FILES)}
    assert [text for _, text in MEASURED if bare(text) in spoken] == []
    held = {bare(text) for _, text in lines(*HELD_OUT)} - {NUMBER}
    assert [text for _, text in TAUGHT if bare(text) in held] == []


@pytest.mark.parametrize("label", LABELS)
def test_no_two_lines_come_from_one_template(label: str) -> None:
    texts = {plain(text): text for one, text in (*TAUGHT, *MEASURED) if one == label}
    assert [(texts[a], texts[b]) for a, b in suspects(texts) if near(a, b)] == []
