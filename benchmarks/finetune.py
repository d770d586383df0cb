"""Fine-tune a run's encoder on labels: the command `avalanche-ssl finetune`, from a checkout."""

import sys

from avalanche_ssl.cli.finetune import main

if __name__ == "__main__":
    sys.exit(main())
