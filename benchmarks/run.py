"""Train a strategy on a stream: the command `avalanche-ssl run`, from a checkout."""

import sys

from avalanche_ssl.cli.run import main

if __name__ == "__main__":
    sys.exit(main())
