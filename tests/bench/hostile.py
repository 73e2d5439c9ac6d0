"""Tens of thousands of hostile requests at the gateway's doors: `python -m tests.bench.hostile`.

What the tests do a thousand times in each run is done more often here: requests to everything that the gateway serves,
and bodies at WeChat's door, each of which was good before something happened to it. None may be a fault of ours, change
anything, or tell what nobody should know.
"""

from __future__ import annotations

import argparse
import os
import sys

import pytest

TESTS = (
    "tests/connectors/test_hostile.py::test_hostile_requests_find_no_fault_and_change_nothing",
    "tests/connectors/wechat/test_doors.py::test_hostile_requests_do_no_harm",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.hostile", description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000, help="at each of the two")
    os.environ["HOSTILE_REQUESTS"] = str(parser.parse_args().requests)
    sys.exit(pytest.main(["-v", "--durations=0", *TESTS]))


if __name__ == "__main__":
    main()
