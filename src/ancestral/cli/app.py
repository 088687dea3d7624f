"""The verbs, and what a process does around each of them."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Sequence

from cyclopts import App, Parameter

from ancestral import __version__
from ancestral.cli.coding import encode, reconstruct
from ancestral.cli.comparing import compare
from ancestral.cli.compressing import compress, decompress
from ancestral.cli.detecting import detect
from ancestral.cli.downloads import data
from ancestral.cli.evaluating import evaluate, report
from ancestral.cli.fitting import fit
from ancestral.cli.imputing import impute
from ancestral.cli.interpolating import arithmetic, interpolate
from ancestral.cli.listing import cite, list_all
from ancestral.cli.problems import Interrupted, problem_of
from ancestral.cli.purifying import purify
from ancestral.cli.sampling import sample

__all__ = ["main"]

_VERBS = {
    "list": list_all,
    "fit": fit,
    "evaluate": evaluate,
    "sample": sample,
    "encode": encode,
    "reconstruct": reconstruct,
    "interpolate": interpolate,
    "arithmetic": arithmetic,
    "impute": impute,
    "purify": purify,
    "detect": detect,
    "compress": compress,
    "decompress": decompress,
    "compare": compare,
    "report": report,
    "cite": cite,
    "data": data,
}

_DEBUG = "--debug"


def build_app() -> App:
    """All verbs, in the order in which a person meets them."""
    app = App(
        name="ancestral",
        help="Deep generative models whose likelihood you can evaluate, in nats of the data.",
        help_epilogue="`ancestral VERB --help` explains a verb; `--debug` shows tracebacks.",
        version=__version__,
        version_flags=["--version"],
        suppress_keyboard_interrupt=False,
        default_parameter=Parameter(negative=()),
    )
    for position, (name, verb) in enumerate(_VERBS.items()):
        if isinstance(verb, App):
            verb.sort_key = position
            app.command(verb)
        else:
            app.command(verb, name=name, sort_key=position)
    return app


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: words after `ancestral`; those of the process if None.

    Returns:
        The exit code: 0; 2 for anything a user can put right; 130 after Ctrl-C; 1 for a defect.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    debug = _DEBUG in words or os.environ.get("ANCESTRAL_DEBUG", "") not in ("", "0")
    words = [word for word in words if word != _DEBUG]
    with warnings.catch_warnings():
        if not debug:
            warnings.simplefilter("ignore")  # of libraries; ours are errors or sentences
        try:
            app = build_app()
            app(words, exit_on_error=False, print_error=False, result_action="return_value")
            sys.stdout.flush()
        except BrokenPipeError:
            # the reader, such as `head`, has enough; nothing may be written when Python exits
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except KeyboardInterrupt as interrupt:
            sentence = interrupt.sentence if isinstance(interrupt, Interrupted) else "interrupted"
            print(sentence, file=sys.stderr)
            return 130
        except Exception as error:
            if debug:
                traceback.print_exc()
            problem = problem_of(error, words)
            print(problem, file=sys.stderr)
            return problem.exit_code
    return 0
