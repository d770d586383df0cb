"""Compare runs: the command `avalanche-ssl report`, from a checkout."""

import sys

from avalanche_ssl.cli.report import main

if __name__ == "__main__":
    sys.exit(main())
