"""Probes of the encoder of a run on another stream: the command `avalanche-ssl probe`, from a checkout."""

import sys

from avalanche_ssl.cli.probe import main

if __name__ == "__main__":
    sys.exit(main())
