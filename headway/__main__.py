"""`python -m headway`."""

from __future__ import annotations

import sys

from headway import cli

if __name__ == "__main__":
    sys.exit(cli.main())
