"""The command line: the first word is a verb, data go to stdout, messages to stderr.

Nothing here imports torch until a verb needs it, so that `ancestral --help` answers at once.
"""

from ancestral.cli.app import main

__all__ = ["main"]
