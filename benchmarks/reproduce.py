"""Reproduce published numbers: the command `avalanche-ssl reproduce`, from a checkout."""

import sys

from avalanche_ssl.cli.reproduce import main

if __name__ == "__main__":
    sys.exit(main())
