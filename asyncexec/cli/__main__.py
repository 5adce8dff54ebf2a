"""``python -m asyncexec.cli`` is the command ``asyncexec``."""

import sys

from asyncexec.cli import main

if __name__ == "__main__":
    sys.exit(main())
