"""Features of a folder of images: the command `avalanche-ssl embed`, from a checkout."""

import sys

from avalanche_ssl.cli.embed import main

if __name__ == "__main__":
    sys.exit(main())
