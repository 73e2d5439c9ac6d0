"""``python -m bot.components.dialogue``: checks flows, acts, patterns and the domain, without training."""

from __future__ import annotations

import sys
from pathlib import Path

from rasa.shared.core.domain import Domain
from rasa.shared.exceptions import RasaException

from bot import patterns
from bot.components.acts import read_acts
from bot.components.dialogue.policy import trained

BOT = Path(__file__).parents[2]


def main() -> int:
    try:
        _, flows = trained([str(BOT / "data/flows")], Domain.load(str(BOT / "domain.yml")))
        read_acts(BOT / "data/acts.yml")
        for path in sorted(patterns.FOLDER.glob("*.yml")):
            patterns.read(path)
    except (RasaException, ValueError) as error:
        print(error)
        return 1
    tasks = sum(flow.kind == "task" for flow in flows.values())
    print(f"{len(flows)} flows, {tasks} of them write")
    return 0


if __name__ == "__main__":
    sys.exit(main())
