"""What went wrong, in a sentence, and a way out."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from cyclopts import CycloptsError
from cyclopts.exceptions import (
    CoercionError,
    MissingArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)
from safetensors import SafetensorError

__all__ = ["Interrupted", "Problem", "problem_of"]

_USER, _DEFECT = 2, 1
_OTHER_PLACE = "look at the path and the space on the disk, or take another"


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, with a sentence on what is kept and how to go on."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


@dataclass(frozen=True)
class Problem:
    """A line or two for a person, and the exit code.

    Example:
        >>> print(Problem("unknown verb 'fitt'", "did you mean 'fit'?"))
        error: unknown verb 'fitt'
        hint: did you mean 'fit'?
    """

    message: str
    hint: str | None = None
    exit_code: int = _USER

    def __str__(self) -> str:
        lines = [f"error: {_one_line(self.message)}"]
        return "\n".join(lines + ([f"hint: {_one_line(self.hint)}"] if self.hint else []))


def problem_of(error: Exception, words: Sequence[str]) -> Problem:
    """An error of any layer as a problem.

    Args:
        error: what was raised.
        words: the command line.
    """
    if isinstance(error, CycloptsError):
        return _problem_of_words(error, words)
    if hasattr(error, "message") and hasattr(error, "hint"):
        # an AncestralError, told by its looks: its class is not imported before it is needed
        return Problem(str(error.message), error.hint)  # type: ignore[attr-defined]
    if isinstance(error, OSError):
        return _problem_of_system(error)
    if isinstance(error, SafetensorError):  # a full disk, for one
        return Problem(f"cannot read or write a file of tensors: {error}", _OTHER_PLACE)
    if isinstance(error, ImportError) and error.name:
        return Problem(
            f"this needs the package {error.name!r}, which is not installed",
            "pip install 'ancestral[all]'",
        )
    if isinstance(error, MemoryError) or "out of memory" in str(error):
        return Problem("out of memory", "a smaller --batch-size or a smaller model needs less")
    return Problem(
        f"a defect of ancestral: {type(error).__name__}: {error}",
        "ANCESTRAL_DEBUG=1 shows where; please report it",
        _DEFECT,
    )


def _problem_of_system(error: OSError) -> Problem:
    reason = error.strerror or str(error)
    where = f" {error.filename}" if error.filename else ""
    return Problem(f"cannot read or write{where}: {reason}", _OTHER_PLACE)


def _problem_of_words(error: CycloptsError, words: Sequence[str]) -> Problem:
    command = " ".join(("ancestral", *(error.command_chain or ())))
    help_hint = f"`{command} --help` explains"
    if isinstance(error, UnknownCommandError):
        return _unknown_command(error, error.unused_tokens or list(words))
    if isinstance(error, UnknownOptionError):
        given = (error.token.keyword or error.token.value).split("=")[0]
        names = [n for a in error.argument_collection if a.parse for n in a.names]
        close = difflib.get_close_matches(given, names, n=2, cutoff=0.6)
        hint = f"did you mean {' or '.join(close)}?" if close else help_hint
        return Problem(f"unknown option {given} of `{command}`", hint)
    if isinstance(error, UnusedCliTokensError):
        extra = " ".join(error.unused_tokens or [])
        return Problem(f"`{command}` does not expect {extra!r}", help_hint)
    if isinstance(error, CoercionError) and error.token is not None:
        what = error.token.keyword or (error.argument.name if error.argument else "the argument")
        wanted = _in_words(error.target_type)
        return Problem(f"expected {what} to be {wanted}, got {error.token.value!r}", help_hint)
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        name = error.keyword or error.argument.name
        if error.argument.tokens or error.keyword:
            return Problem(f"{name} needs a value", help_hint)
        return Problem(f"`{command}` needs {name}", help_hint)
    return Problem(str(error), help_hint)


def _in_words(wanted: Any) -> str:
    """A type as a person says it.

    Example:
        >>> _in_words(int), _in_words(Literal["none", "static"])
        ('a whole number', "'none' or 'static'")
    """
    if get_origin(wanted) is Literal:
        return " or ".join(repr(choice) for choice in get_args(wanted))
    names = {int: "a whole number", float: "a number"}
    return names.get(wanted, getattr(wanted, "__name__", str(wanted)))


def _unknown_command(error: UnknownCommandError, unused: Sequence[str]) -> Problem:
    chain = tuple(error.command_chain or ())
    noun = {(): "verb", ("fit",): "recipe"}.get(chain, "word")
    if unused[0].startswith("-"):
        command = " ".join(("ancestral", *chain))
        return Problem(
            f"expected a {noun} right after `{command}`, got {unused[0]}",
            f"options come after it: `{command} {noun.upper()} {unused[0]} ...`",
        )
    names = [name for name in error.app or () if not name.startswith("-")]
    close = difflib.get_close_matches(unused[0], names, n=3, cutoff=0.5)
    if close:
        hint = "did you mean " + " or ".join(repr(name) for name in close) + "?"
    else:
        hint = "there are: " + ", ".join(names)
    return Problem(f"unknown {noun} {unused[0]!r}", hint)


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line[:-1] if line.endswith(".") and not line.endswith("..") else line
