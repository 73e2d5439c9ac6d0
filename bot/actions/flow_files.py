"""What the flow files say, as far as the actions need it: the same files that the dialogue follows."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml

import settings


@cache
def flow_files() -> Mapping[str, Mapping[str, Any]]:
    """The flows as trainers write them, from the folders that bot/config.yml names."""
    config = yaml.safe_load((settings.ROOT / "bot" / "config.yml").read_text("utf-8"))
    folders = dict.fromkeys(folder for policy in config["policies"] for folder in policy.get("flows") or ())
    paths = [path for folder in folders for path in sorted((settings.ROOT / folder).glob("*.yml"))]
    return {name: flow for path in paths for name, flow in yaml.safe_load(path.read_text("utf-8"))["flows"].items()}


def is_task(flow: str) -> bool:
    """Whether the flow ends in something that is written."""
    return any("write" in step for step in (flow_files().get(flow) or {}).get("steps") or ())


def slots_of(flow: str) -> frozenset[str]:
    """The slots of a flow that say what the customer wants."""
    content = flow_files().get(flow) or {}
    told = [slot for trigger in content.get("nlu_trigger") or () for slot in trigger.get("set") or ()]
    asked = [step["collect"] for step in content.get("steps") or () if "collect" in step]
    needed = [slot for step in content.get("steps") or () for slot in step.get("needs") or ()]
    return frozenset({*(content.get("holds") or ()), *told, *asked, *needed})


def intents_of(flow: str) -> frozenset[str]:
    """The intents that begin the flow."""
    triggers = (flow_files().get(flow) or {}).get("nlu_trigger") or ()
    return frozenset(trigger["intent"] for trigger in triggers if "intent" in trigger)
