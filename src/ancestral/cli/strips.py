"""Rows of data that change step by step, as files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ancestral.cli.contents import Content, save_arrays
from ancestral.cli.written_text import text_of

__all__ = ["Strips"]

_MINUS = "\N{MINUS SIGN}"
_MOST_NAMED = 7  # columns of a picture that all get a name


@dataclass(frozen=True)
class Strips:
    """Groups of rows, one row for each step.

    Args:
        content: what a row is.
        decoded: [groups, steps, *shape].
        values: [steps], what changes from step to step.
        value_name: of these numbers, for a column.
        group_name: of a group, for a column.
        left: [groups, *shape], data to stand at the left of each strip.
        right: [groups, *shape], data to stand at the right, or None.
        arrays: more, for `.npz`.
    """

    content: Content
    decoded: np.ndarray
    values: np.ndarray
    value_name: str
    group_name: str
    left: np.ndarray
    right: np.ndarray | None = None
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)

    @staticmethod
    def suffixes(content: Content) -> list[str]:
        """Endings of files that rows of this content can be written to."""
        return [s for s in (".png", ".npz", ".npy", ".csv", ".txt") if s in content.formats]

    def write(self, path: Path) -> None:
        """In the format that the path ends in."""
        writers: dict[str, Callable[[Path], None]] = {
            ".png": self._write_picture,
            ".csv": self._write_table,
            ".txt": self._write_text,
            ".npy": lambda to: save_arrays(to, {"decoded": self.decoded}),
        }
        writers.get(path.suffix.lower(), self._write_arrays)(path)

    def _write_arrays(self, path: Path) -> None:
        ends = {"data": self.left} if self.right is None else {"start": self.left}
        if self.right is not None:
            ends["end"] = self.right
        save_arrays(path, {**self.arrays, **ends, self.value_name: self.values})

    def _write_picture(self, path: Path) -> None:
        """Strips below each other, data beside what the model makes of them."""
        from ancestral.plots import ImageRow, image_rows, save

        steps = len(self.values)
        columns = [self.left[:, None], self.decoded]
        spaces, names = (1,), ["data", *self._step_names()]
        if self.right is not None:
            columns.append(self.right[:, None])
            spaces, names = (1, 1 + steps), [*names, "data"]
        whole = np.concatenate([c.astype(np.float64) for c in columns], 1)
        pixels = self.content.pixels(whole.reshape(-1, *self.content.spec.shape))
        parts = pixels.reshape(*whole.shape[:2], *pixels.shape[1:])
        save(image_rows([ImageRow(part, spaces=spaces) for part in parts], names), path)

    def _step_names(self) -> list[str]:
        names = [f"{value:.2g}".replace("-", _MINUS) for value in self.values]
        if len(names) <= _MOST_NAMED:
            return names
        shown = {0, len(names) - 1} | ({len(names) // 2} if len(names) % 2 else set())
        return [name if i in shown else "" for i, name in enumerate(names)]

    def _write_table(self, path: Path) -> None:
        groups, steps = self.decoded.shape[:2]
        leading = {
            self.group_name: np.repeat(np.arange(1, groups + 1), steps),
            "step": np.tile(np.arange(steps), groups),
            self.value_name: np.tile([f"{value:.6g}" for value in self.values], groups),
        }
        rows = self.decoded.reshape(groups * steps, *self.content.spec.shape)
        self.content.write_table(path, rows, leading)

    def _write_text(self, path: Path) -> None:
        vocabulary, spec = self.content.text.vocabulary, self.content.spec
        assert vocabulary is not None
        lines = []
        for group, strip in enumerate(self.decoded):
            lines.append(f"[{self.group_name} {group + 1}, data]")
            lines.append(text_of(self.left[group][None], vocabulary, spec).rstrip("\n"))
            for value, row in zip(self.values, strip, strict=True):
                lines.append(f"[{self.group_name} {group + 1}, {self.value_name} {value:.3g}]")
                lines.append(text_of(row[None], vocabulary, spec).rstrip("\n"))
            if self.right is not None:
                lines.append(f"[{self.group_name} {group + 1}, data]")
                lines.append(text_of(self.right[group][None], vocabulary, spec).rstrip("\n"))
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
