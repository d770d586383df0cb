"""`python -m avalanche_ssl COMMAND`: the same as the console command `avalanche-ssl`."""

import sys

from avalanche_ssl.cli.command import main

if __name__ == "__main__":
    sys.exit(main())
