"""The command line: the first word is a verb, data go to stdout, messages to stderr.

Modules with a verb in them import torch only inside the function that does the work, so that help
and refusals take a fifth of a second.
"""

from ancestral.cli.app import main

__all__ = ["main"]
