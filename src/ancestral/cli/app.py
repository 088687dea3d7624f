"""The verbs, and what a process does around each of them."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Sequence

from cyclopts import App

from ancestral import __version__
from ancestral.cli.problems import Interrupted, problem_of

__all__ = ["VERBS", "main"]

VERBS: dict[str, tuple[str, str]] = {
    "list": ("listing:list_all", "Recipes and data sets, one line each"),
    "fit": ("fitting:fit", "Train a recipe on data: `ancestral fit vae digits`"),
    "evaluate": ("evaluating:evaluate", "Log p of held-out data under a run, in nats"),
    "sample": ("sampling:sample", "Draw new data from a run"),
    "encode": ("coding:encode", "Latent codes of data: the embedding"),
    "reconstruct": ("coding:reconstruct", "Data as a run's decoder gives them back"),
    "interpolate": ("coding:interpolate", "Decoded lines between pairs of data"),
    "compare": ("evaluating:compare", "Several runs in one table, in one unit"),
    "report": ("evaluating:report", "Write a run's report anew: one HTML file"),
    "cite": ("listing:cite", "BibTeX of a run or a recipe"),
    "data": ("downloads:data", "Download data sets, and list those that can be"),
}

_DEBUG = "--debug"


def build_app() -> App:
    """All verbs; the module of each is imported when it is first used."""
    app = App(
        name="ancestral",
        help="Deep generative models whose likelihood you can evaluate, in nats of the data.",
        help_epilogue="`ancestral VERB --help` explains a verb; `--debug` shows tracebacks.",
        version=__version__,
        version_flags=["--version"],
        suppress_keyboard_interrupt=False,
    )
    for name, (place, help_text) in VERBS.items():
        app.command(f"ancestral.cli.{place}", name=name, help=help_text, sort_key=len(app._commands))
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
