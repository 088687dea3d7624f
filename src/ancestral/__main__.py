"""`python -m ancestral`: the command line without the console script."""

import sys

from ancestral.cli import main

if __name__ == "__main__":
    sys.exit(main())
