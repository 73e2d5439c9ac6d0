"""What keeping the graph in step has to tell people, in a file: ``sync`` writes it, the gateway shows it."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import asdict, dataclass
from tempfile import NamedTemporaryFile

import settings
from knowledge_graph.entries import Problem

WARNINGS = 20
"""Files that are named in the health; the dashboard names all."""


@dataclass(frozen=True, slots=True)
class Report:
    """``trouble``: why nothing is brought over at all, if so."""

    problems: tuple[Problem, ...] = ()
    trouble: str = ""

    def warnings(self) -> list[str]:
        """A sentence for each file of which something was left out."""
        left_out = [problem for problem in self.problems if problem.left_out]
        counts = Counter(problem.file for problem in left_out)
        first = {problem.file: problem for problem in reversed(left_out)}
        told = [
            f"{first[file]}" + (f"（共 {count} 处 / {count} in all）" if count > 1 else "")
            for file, count in counts.items()
        ]
        if more := told[WARNINGS:]:
            told[WARNINGS:] = [f"还有 {len(more)} 个文件 / {len(more)} more files"]
        return [*([self.trouble] if self.trouble else []), *told]


def write(report: Report) -> None:
    """Raises OSError."""
    path = settings.sync_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=".", delete=False) as new:
        json.dump(asdict(report), new, ensure_ascii=False)
    os.replace(new.name, path)  # noqa: PTH105 (a reader has the old report or the new one, never a part)


def read() -> Report:
    """An empty one where there is none, or none that can be read."""
    try:
        state = json.loads(settings.sync_file().read_text("utf-8"))
        return Report(tuple(Problem(**each) for each in state["problems"]), str(state["trouble"]))
    except (OSError, ValueError, LookupError, TypeError):
        return Report()
