"""A bar for work that goes row by row."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["row_bar"]


@contextmanager
def row_bar(what: str, num_rows: int) -> Iterator[Callable[[float], None] | None]:
    """Something to tell of rows that are done; None where nobody looks.

    Args:
        what: is being done, in a word or two.
        num_rows: in all.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=num_rows)
        yield lambda count: progress.advance(task, count)
