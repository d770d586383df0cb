"""Run several strategies, seeds and settings: the command `avalanche-ssl sweep`, from a checkout."""

import sys

from avalanche_ssl.cli.sweep import main

if __name__ == "__main__":
    sys.exit(main())
