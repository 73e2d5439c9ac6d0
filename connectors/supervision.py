"""What the supervisor tells the gateway about the parts that it keeps alive: one small file, always whole.

The supervisor names the file to its parts in ``SUPERVISOR_FILE``. A gateway without that stands alone: it knows of the
other parts what they answer, and nothing else.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

VARIABLE = "SUPERVISOR_FILE"

WINDOW = 300.0
"""Seconds after which a death is forgotten."""


@dataclass
class Life:
    """Of one part."""

    running: bool = False
    given_up: bool = False
    deaths: list[float] = field(default_factory=list)  # seconds since the epoch, the latest last

    def lately(self) -> int:
        """Deaths within the window."""
        return sum(moment > time.time() - WINDOW for moment in self.deaths)


def tell(file: Path, lives: Mapping[str, Life]) -> None:
    """Raises OSError."""
    draft = file.with_suffix(".draft")
    draft.write_text(json.dumps({name: asdict(life) for name, life in lives.items()}))
    draft.replace(file)


def told() -> dict[str, Life]:
    """The parts of this gateway's supervisor; none where it stands alone. Raises OSError or ValueError."""
    file = os.environ.get(VARIABLE)
    if not file:
        return {}
    return {name: Life(**life) for name, life in json.loads(Path(file).read_text()).items()}
