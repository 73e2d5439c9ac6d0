"""Ends process groups: how the supervisor stops its parts, and what still stops them when it is killed.

As a program it lives beside the supervisor in a session of its own and reads `+<group>` and `-<group>` lines from its
standard input. The input ends when the supervisor does, however it ends; the groups that are left are then ended too.
PR_SET_PDEATHSIG would reach only direct children (an action server has workers of its own) and only on Linux.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable

GRACE = 8.0
"""Seconds between TERM and KILL."""


def _signal(group: int, signum: int) -> bool:
    """False when no process of the group is left."""
    try:
        os.killpg(group, signum)
    except (ProcessLookupError, PermissionError):  # macOS answers "not permitted" when only zombies are left
        return False
    return True


def end_groups(groups: Iterable[int], grace: float = GRACE) -> None:
    """Asks every process of the groups to stop, waits `grace` seconds, then kills. Blocks until none is left."""
    left = [group for group in groups if _signal(group, signal.SIGTERM)]
    deadline = time.monotonic() + grace
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = [group for group in left if _signal(group, 0)]
    for group in left:
        _signal(group, signal.SIGKILL)


def main() -> None:
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        groups.add(group) if line[0] == "+" else groups.discard(group)
    end_groups(groups)


if __name__ == "__main__":
    main()
