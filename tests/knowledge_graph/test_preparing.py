"""When the search for answers is trained. What it learns from is small here, the training is the real one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import encoder
import settings
from knowledge_graph import learning, preparing, sync
from knowledge_graph.retrieval import Question
from knowledge_graph.sources import LINES, TOPICS, house_facts
from knowledge_graph.taught import Taught

FILE = """\
topic: delivery
entries:
  - id: sundays
    kind: faq
    title: 周日送不送
    answer: 周日也送。
    ask: [星期天送货吗, 周日派件不, 礼拜天快递来吗, 周末配送吗]
  - id: gifts
    kind: faq
    title: 礼品包装
    answer: 没有礼品包装。
    ask: [能包成礼物吗, 有礼盒吗, 包装漂亮点行不, 送人的能包一下吗]
"""


LESSON = """\
nlu:
- intent: out_of_scope
  examples: |
    - 讲个[笑话](what)
    - 今天几号
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The operator's own answers, the only ones here."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setattr(sync, "CONTENT", tmp_path / "content")
    file = settings.knowledge_dir() / "own.yml"
    file.parent.mkdir(parents=True)
    file.write_text(FILE, "utf-8")
    return file


@pytest.fixture(autouse=True)
def taught(tmp_path: Path) -> Path:
    """What the bot is taught here."""
    lines = tmp_path / "nlu" / "talk.yml"
    lines.parent.mkdir()
    lines.write_text(LESSON, "utf-8")
    return lines


def prepare(*, force: bool = False) -> dict[str, object]:
    """What the stamp says afterwards."""
    preparing.prepare(settings.data_dir().parent / "nlu", TOPICS, house_facts(), force=force)
    stamp: dict[str, object] = json.loads((settings.answering_dir() / "stamp").read_text("utf-8"))
    return stamp


def trained_at() -> int:
    return (settings.answering_dir() / "trained.json").stat().st_mtime_ns


def test_it_is_trained_when_an_answer_has_changed(own: Path) -> None:
    first, at = prepare(), trained_at()
    retriever = learning.stored(str(first["retriever"]))
    assert retriever
    assert retriever.find([Question("礼拜天送吗")])[0][0].id == "sundays"
    assert (prepare(), trained_at()) == (first, at)  # nothing to do
    own.write_text(FILE.replace("礼拜天快递来吗", "礼拜日快递来不来"), "utf-8")
    assert prepare() != first
    assert trained_at() > at


def test_a_retriever_that_is_gone_is_made_again_without_training(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, at = prepare(), trained_at()
    retriever = settings.retrievers_dir() / str(first["retriever"])
    for file in retriever.iterdir():
        file.unlink()
    retriever.rmdir()
    assert (prepare(), trained_at()) == (first, at)
    assert retriever.exists()
    prepare(force=True)
    assert trained_at() > at
    assert capsys.readouterr().out.count("Learned in") == 3


def test_another_encoder_is_fitted_anew(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, at = prepare(), trained_at()
    monkeypatch.setattr(encoder, "load", lambda: None)
    without = prepare()
    assert (without["encoder"], first["sources"]) == (None, without["sources"])
    assert trained_at() > at
    assert json.loads((settings.answering_dir() / "trained.json").read_text())["fitted_with"] is None


@pytest.mark.parametrize("left", ["", '{"sources": [', "[]"])
def test_half_a_stamp_is_none(tmp_path: Path, left: str) -> None:
    (tmp_path / "stamp").write_text(left)
    assert preparing.read_stamp(tmp_path / "stamp") == preparing.read_stamp(tmp_path / "nowhere") == {}


def test_a_bad_file_of_answers_keeps_nobody_from_learning(own: Path) -> None:
    own.with_name("folder.csv").mkdir()
    own.with_name("nowhere.csv").symlink_to("nothing")
    first = prepare()
    assert prepare() == first


def test_it_is_trained_when_the_bot_is_taught_more(own: Path, taught: Path) -> None:
    first, at = prepare(), trained_at()
    taught.write_text(LESSON + "    - 唱首歌来听\n", "utf-8")
    assert prepare() != first
    assert trained_at() > at


def test_a_limit_that_changes_teaches_nothing(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepare()
    limits = settings.proofs_file().read_text("utf-8").replace("tries: 5", "tries: 4")
    (tmp_path / "proofs.yml").write_text(limits, "utf-8")
    monkeypatch.setenv("PROOFS_FILE", str(tmp_path / "proofs.yml"))
    assert house_facts()["wrong_tries"] == 4
    assert prepare() == first


def test_lines_are_read_as_customers_type_them() -> None:
    spoken = Taught.read(LINES, TOPICS).spoken
    assert len(spoken) > 40
    assert all(spoken.values())
    assert not [line for lines in spoken.values() for line in lines if "](" in line or "]{" in line]
