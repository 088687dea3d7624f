"""Everything a run needs to go on as if it had never stopped, in one file."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ancestral.core import RunError

__all__ = ["Checkpoint"]

_FORMAT = "ancestral-checkpoint-1"


@dataclass
class Checkpoint:
    """Tensors by name, and the numbers of the loop.

    The file is written under a temporary name, flushed to the disk and renamed: whenever the
    process dies, the last complete checkpoint is there.
    """

    tensors: dict[str, Tensor] = field(default_factory=dict)
    numbers: dict[str, Any] = field(default_factory=dict)

    def add(self, prefix: str, tensors: dict[str, Tensor]) -> None:
        """Add tensors under a prefix."""
        self.tensors |= {f"{prefix}/{name}": value for name, value in tensors.items()}

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors that were added under a prefix."""
        start = prefix + "/"
        return {k[len(start) :]: v for k, v in self.tensors.items() if k.startswith(start)}

    def save(self, path: Path) -> None:
        """Write, flush, rename."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(path.name + ".tmp")
        # clones: tensors that share memory, as tied weights do, are refused by the format
        tensors = {k: v.detach().cpu().contiguous().clone() for k, v in self.tensors.items()}
        save_file(tensors, temporary, {"format": _FORMAT, "numbers": json.dumps(self.numbers)})
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)

    @staticmethod
    def load(path: Path) -> Checkpoint:
        """Read what `save` wrote.

        Raises:
            RunError: if the file is not a checkpoint, or damaged.
        """
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("format") != _FORMAT:
                    raise RunError(
                        f"expected a checkpoint of this library in {path}, got another file"
                    )
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise RunError(
                f"the checkpoint {path} cannot be read: {error}",
                hint="delete the run folder and fit again",
            ) from None
        return Checkpoint(tensors, json.loads(metadata["numbers"]))
