"""compose.yaml beside the house that it starts: there is no Docker in the tests, so what it names is looked for."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from settings import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "zhanggui"}


@pytest.mark.parametrize("name", OURS)
def test_each_setting_is_one_that_the_house_reads(name: str) -> None:
    known = set(re.findall(r'"([A-Z_]{4,})"', (ROOT / "settings.py").read_text()))
    assert OURS[name]["environment"].keys() <= known


@pytest.mark.parametrize("name", OURS)
def test_each_part_starts_a_module_in_its_environment(name: str) -> None:
    python, option, module, *_ = OURS[name]["command"]
    assert python == f".venvs/{'rasa' if module == 'bot' else 'app'}/bin/python"
    assert option == "-m"
    assert (ROOT / module.replace(".", "/") / "__main__.py").exists()


def test_there_are_two_of_whatever_may_die() -> None:
    told = OURS["gateway"]["environment"]
    for setting in ("RASA_URL", "ACTIONS_URL"):
        hosts = [urlsplit(url).hostname for url in told[setting].split(",")]
        assert len(set(hosts)) == 2
        assert set(hosts) <= OURS.keys()
    assert [OURS[name]["deploy"]["replicas"] for name in ("gateway", "worker")] == [2, 2]
    for setting in ("DATABASE_URL", "GRAPH_URI", "REDIS_URL"):
        address = re.sub(r"\$\{[^}]*\}", "x", told[setting])
        assert urlsplit(address).hostname in SERVICES


def test_files_volumes_and_secrets_are_there_and_only_the_proxy_is_open() -> None:
    for name, service in SERVICES.items():
        for source in (volume.split(":")[0] for volume in service.get("volumes", ())):
            assert (ROOT / source).is_file() if source.startswith(".") else source in COMPOSE["volumes"], name
        assert set(service.get("secrets", ())) <= COMPOSE["secrets"].keys()
        assert set(service["networks"]) <= COMPOSE["networks"].keys()
        assert set(service.get("depends_on", ())) <= SERVICES.keys()
        if name != "caddy":
            assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    assert (ROOT / OURS["migrate"]["build"]["dockerfile"]).is_file()


def test_the_documents_name_every_secret_that_compose_wants() -> None:
    wanted = set(re.findall(r"\$\{([A-Z_]+):\?\}", (ROOT / "compose.yaml").read_text()))
    told = (ROOT / "docs" / "deploy.md").read_text()
    assert {name for name in wanted if f"{name}=" not in told} == set()
