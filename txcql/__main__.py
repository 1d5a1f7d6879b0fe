"""``python -m txcql``."""

from __future__ import annotations

import sys

from txcql.cli.commandline import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
