"""What holds for every test, in both environments."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from typing import Any

import pytest

STRICT = bool(os.environ.get("FAIL_ON_SKIP"))
"""Set where everything that the tests need has to be there: a test that skips itself has failed."""

for _signum in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_signum) == signal.SIG_IGN:  # in the background or under nohup
        signal.signal(_signum, lambda *_: None)  # what tests start would inherit that, but no handler


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    return _without_skips((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, Any]:
    return _without_skips((yield))


def _without_skips(report: Any) -> Any:
    if STRICT and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome, report.longrepr = "failed", f"FAIL_ON_SKIP is set: {reason}"
    return report
