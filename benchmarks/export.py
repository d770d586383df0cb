"""Take the encoder out of a run: the command `avalanche-ssl export`, from a checkout."""

import sys

from avalanche_ssl.cli.export import main

if __name__ == "__main__":
    sys.exit(main())
