"""Files that verbs write: refused before the work starts, or there as a whole afterwards."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from ancestral.core import OptionError

__all__ = ["writing"]


@contextmanager
def writing(path: Path, suffixes: Sequence[str], *, overwrite: bool) -> Iterator[Path]:
    """A temporary file to write to, renamed to `path` if all goes well, else removed.

    Args:
        path: of the finished file.
        suffixes: that the content can be written as.
        overwrite: whether a file that is there may be replaced.

    Raises:
        OptionError: a suffix of another kind, a folder that is absent or cannot be written to, or
            a file that would be overwritten; before anything is done inside.
    """
    _check(path, suffixes, overwrite)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        temporary.touch()
    except OSError as error:
        raise OptionError(
            f"cannot write to the folder {path.parent}: {error.strerror}",
            hint="choose another --out",
        ) from None
    try:
        with _ending_in_order():
            yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _ending_in_order() -> Iterator[None]:
    """Inside, SIGTERM ends the process as an exception does, so that nothing is left behind."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield  # whoever set a handler of their own knows why
        return
    before = signal.signal(signal.SIGTERM, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(number: int, frame: FrameType | None) -> None:
    del frame
    raise SystemExit(128 + number)  # as a shell says of a process that a signal ended


def _check(path: Path, suffixes: Sequence[str], overwrite: bool) -> None:  # noqa: FBT001
    if path.suffix.lower() not in suffixes:
        raise OptionError(
            f"expected an --out that ends in {' '.join(suffixes)}, got {path}",
            hint="the ending decides on the format",
        )
    if path.is_dir():
        raise OptionError(f"{path} is a folder, not a file", hint="choose another --out")
    if path.exists() and not overwrite:
        raise OptionError(f"{path} exists", hint="use --overwrite to replace it")
    if not path.parent.is_dir():
        raise OptionError(
            f"there is no folder {path.parent} to write to", hint=f"mkdir -p {path.parent}"
        )
