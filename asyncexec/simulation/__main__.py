"""``python -m asyncexec.simulation`` is the command ``asyncexec simulate``."""

import sys
from importlib import import_module

if __name__ == "__main__":
    # By name: the command line stands above this package, which does not need it otherwise.
    command_line = import_module("asyncexec.cli")
    sys.exit(command_line.main(["simulate", *sys.argv[1:]]))
