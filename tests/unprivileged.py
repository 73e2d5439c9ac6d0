"""`unprivileged.py COMMAND …` runs a command whom file modes bind, also where the tests are run by root.

Root passes over modes by a capability; a process that has given it up is refused like anybody else.
"""

import ctypes
import os
import sys

PR_CAPBSET_DROP = 24
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2

if __name__ == "__main__":
    if os.geteuid() == 0:
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            if ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
                sys.exit("this machine lets root not give up what only root may")
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606
