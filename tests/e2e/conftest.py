"""One stack for all: the trained bot, a demo mall of its own, and a wire to the actions that a test can hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import settings
from tests.e2e.held_actions import HeldActions
from tests.stack import Stack


@pytest.fixture(scope="session")
def actions() -> Iterator[HeldActions]:
    with HeldActions() as held:
        yield held


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, actions: HeldActions) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    kinds = yaml.safe_load((settings.ROOT / "mall_adapter" / "notices" / "kinds.yml").read_text("utf-8"))
    never = {"from": "00:00", "until": "00:00"}  # tests run at night, too
    (folder / "kinds.yml").write_text(yaml.safe_dump(kinds | {"quiet": never}, allow_unicode=True), "utf-8")
    stack = Stack(
        folder,
        ACTIONS_URL=actions.url,
        DESK_HOURS="00:00-24:00",
        NOTICE_KINDS_FILE=str(folder / "kinds.yml"),
        BUDGETS_FILE=str(Path(__file__).with_name("budgets.yaml")),
    )
    actions.forward_to(int(stack.env["ACTIONS_PORT"]))
    with pytest.MonkeyPatch.context() as patch, stack:
        patch.setenv("DATA_DIR", str(stack.data_dir))  # the tests read the same mall, with the same keys
        stack.wait_for_answers()
        yield stack
