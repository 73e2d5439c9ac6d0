"""Tunes the encoder on what comes from standard input; ``make encoder`` runs it, in an environment of its own."""

from __future__ import annotations

import json
import signal
import sys


def main() -> int:
    for signum in (signal.SIGINT, signal.SIGTERM):  # a shell ignores the first for what runs in the background
        signal.signal(signum, signal.default_int_handler)
    try:
        from encoder.making.make import Material, make
        from encoder.model import FOLDER

        make(Material(**json.load(sys.stdin)), FOLDER)
    except ImportError as error:
        print(f"The encoder cannot be tuned here / 本机无法训练语义模型: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; the encoder is as it was / 已停止，语义模型不变", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
