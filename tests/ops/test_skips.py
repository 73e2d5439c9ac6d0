"""Where everything has to be there, a test that skips itself has failed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import settings

TESTS = """\
import pytest

@pytest.fixture
def server():
    pytest.skip("no Neo4j: java is not installed")

def test_it(server):
    pass

@pytest.mark.skipif(True, reason="no Chromium on this machine")
def test_browser():
    pass

@pytest.mark.xfail
def test_known():
    assert False
"""


@pytest.mark.parametrize(("strict", "closing"), [("", "2 skipped, 1 xfailed"), ("1", "1 xfailed, 2 errors")])
def test_a_skip_fails_where_it_is_told_to(tmp_path: Path, strict: str, closing: str) -> None:
    shutil.copy(settings.ROOT / "tests/conftest.py", tmp_path)
    (tmp_path / "test_it.py").write_text(TESTS)
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_it.py"],
        cwd=tmp_path,
        env=os.environ | {"FAIL_ON_SKIP": strict},
        capture_output=True,
        text=True,
    )
    assert closing in answer.stdout
    assert (answer.returncode != 0) == bool(strict)
    assert ("no Neo4j: java is not installed" in answer.stdout) == bool(strict)
