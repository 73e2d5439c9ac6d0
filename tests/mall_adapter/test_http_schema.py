"""The API keeps to its own document, whatever is sent: schemathesis makes requests from it, right and wrong."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from .served import Place

CONFIG = Path(__file__).with_name("schemathesis.toml")

EXAMPLES = 5
"""For each operation, besides the edges of everything that its schema bounds."""


@pytest.mark.parametrize("databases", ["http"], indirect=True)
async def test_nothing_is_found(elsewhere: Place, tmp_path: Path) -> None:
    url, key = elsewhere
    options = ["--max-examples", str(EXAMPLES), "--phases", "examples,coverage,fuzzing", "--seed", "1", "--no-color"]
    options += ["--generation-database", "none", "--url", url, "-H", f"Authorization: Bearer {key}"]
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", f"{url}/openapi.json"]
    environment = {**os.environ, "NO_PROXY": "127.0.0.1"}
    found = await asyncio.create_subprocess_exec(
        *command,
        *options,
        env=environment,
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await found.communicate()
    assert found.returncode == 0, told.decode()
