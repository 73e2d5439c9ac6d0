"""How well answers are found by words, and by words and meaning: ``python -m tests.knowledge_graph.measure``.

Prints a table; ``--write`` puts it into docs/answers.md, too. ``--jddc FILE`` measures ``text<TAB>label`` lines of
another shop through ``tests/nlu/jddc.yml``: is the topic of the best answer right? Each way has a judge
of its own making; what ``make train`` made is not looked at. Takes a minute or two. There is no
``make`` target for it: it is for whoever changes the retriever.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # two get in each other's way: one question would take 30 times as long

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import yaml

import encoder
import settings
from knowledge_graph.files import files_in
from knowledge_graph.preparing import Material, material
from knowledge_graph.retrieval import Question, Retriever
from knowledge_graph.sources import LINES, TOPICS, house_facts
from knowledge_graph.sync import CONTENT
from knowledge_graph.taught import Taught
from knowledge_graph.training import judges, remembered, split, unanswered
from tests.knowledge_graph import heldout
from tests.knowledge_graph.heldout import Figures

REPORT = settings.ROOT / "docs" / "answers.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
JDDC = settings.ROOT / "tests" / "nlu" / "jddc.yml"

ALONE = 300
"""Questions that are asked one at a time."""

Lines = Sequence[tuple[str, str]]

SHARES: Mapping[str, Callable[[Figures], float]] = {
    "held-out: right (top 1)": lambda figures: figures.top_1,
    "held-out: among three (top 3)": lambda figures: figures.top_3,
    "held-out: answered": lambda figures: figures.answered,
    "held-out: right and answered": lambda figures: figures.right_and_answered,
    "unanswerable, near: abstains": lambda figures: figures.abstains_near,
    "unanswerable, far: abstains": lambda figures: figures.abstains_far,
    "unanswerable, all: abstains": lambda figures: figures.abstains,
    "ECE": lambda figures: figures.ece,
}


def retrievers(material: Material) -> dict[str, Retriever]:
    """By words alone without an encoder."""
    background = replace(material.background, unanswered=(*unanswered(), *material.background.unanswered))
    meaning = remembered(material.subjects, background)
    by_words, by_both = judges(split(material.subjects, background), meaning)
    found = {"words": Retriever.learn(material.subjects, background, None, by_words)}
    if meaning:
        learned = Retriever.learn(material.subjects, background, meaning, by_both)
        with TemporaryDirectory() as folder:  # as customers ask it: with the encoder itself
            learned.save(Path(folder))
            found["words and meaning"] = Retriever.load(Path(folder), encoder.load())
    return found


def right_topics(retriever: Retriever, topics: Mapping[str, str], lines: Lines) -> float:
    rights = yaml.safe_load(JDDC.read_text("utf-8"))
    hits = retriever.find([Question(text) for text, _ in lines])
    return float(
        np.mean([topics[one[0].id] in rights[label]["topics"] for one, (_, label) in zip(hits, lines, strict=True)])
    )


def speed(retriever: Retriever) -> tuple[float, float]:
    """Questions a second when they come together, and p95 of one alone in milliseconds."""
    asked = [Question(ask) for ask in (*(ask for ask, _ in heldout.ANSWERABLE), *heldout.NEAR, *heldout.FAR)]
    start = time.perf_counter()
    retriever.find(asked)
    together = len(asked) / (time.perf_counter() - start)
    alone = []
    for question in asked[:ALONE]:
        start = time.perf_counter()
        retriever.find([question])
        alone.append(time.perf_counter() - start)
    return together, float(np.quantile(alone, 0.95)) * 1000


def table(found: Mapping[str, Retriever], topics: Mapping[str, str], jddc: Lines) -> str:
    figures = [heldout.measure(retriever) for retriever in found.values()]
    rows = [[name, *(f"{share(one):.3f}" for one in figures)] for name, share in SHARES.items()]
    if jddc:
        rows.append(["jddc: right topic", *(f"{right_topics(one, topics, jddc):.3f}" for one in found.values())])
    speeds = [speed(retriever) for retriever in found.values()]
    rows.append(["questions a second, together", *(f"{together:.0f}" for together, _ in speeds)])
    rows.append(["one question alone, p95 ms", *(f"{alone:.1f}" for _, alone in speeds)])
    head = [["", *found], ["---", *("---:" for _ in found)]]
    return "\n".join(f"| {' | '.join(row)} |" for row in (*head, *rows))


def write(text: str) -> None:
    before, _, rest = REPORT.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise SystemExit(f"{REPORT} lacks {BEGIN} and {END}")
    REPORT.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.knowledge_graph.measure", description=__doc__)
    parser.add_argument("--jddc", type=Path, metavar="FILE", help="text<TAB>label lines")
    parser.add_argument("--write", action="store_true", help=f"into {REPORT.relative_to(settings.ROOT)}")
    arguments = parser.parse_args()
    jddc: list[tuple[str, str]] = []
    if arguments.jddc:
        for line in arguments.jddc.read_text("utf-8").splitlines():
            text, _, label = line.rpartition("\t")
            jddc.append((text, label))
    learned = material(files_in(CONTENT), Taught.read(LINES, TOPICS), house_facts())
    text = table(retrievers(learned), {one.id: one.topic for one in learned.subjects}, jddc)
    print(text)
    if arguments.write:
        write(text)


if __name__ == "__main__":
    main()
