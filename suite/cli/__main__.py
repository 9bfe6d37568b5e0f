"""``python -m suite.cli`` is ``radsuite``."""

import sys

from suite.cli import main

if __name__ == "__main__":
    sys.exit(main(prog_name="radsuite"))
