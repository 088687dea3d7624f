"""`Arithmetic`: what floats depend on in their last bits, besides the operations."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from ancestral.applications.compression.container import CorruptFile
from ancestral.core.native import compiled

__all__ = ["Arithmetic"]

_KERNEL = "int there_is_a_compiler(void) { return 1; }"  # the smallest there is


@dataclass(frozen=True)
class Arithmetic:
    """Where and how masses were computed.

    A sum of floats depends on its order, and the order on the number of threads, the instructions
    of the processor, and the library. So all of it is written into the file. Threads and device
    are set again to what they were; the rest can only be compared, and the checksum of what was
    decoded says whether a difference mattered.

    Attributes:
        torch: its version.
        threads: of torch.
        device: cpu or cuda.
        dtype: of the weights.
        matmul: precision of products of float32.
        processor: instructions that torch uses, or the name of the accelerator.
        native: whether there were compiled kernels: a compiler, and leave to use them.
    """

    torch: str
    threads: int
    device: str
    dtype: str
    matmul: str
    processor: str
    native: bool

    @staticmethod
    def here(model: nn.Module) -> Arithmetic:
        """That of this process, for a model."""
        weight = next(model.parameters(), torch.zeros(()))
        device = weight.device.type
        name = (
            torch.cuda.get_device_name(weight.device)
            if device == "cuda"
            else f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
        )
        return Arithmetic(
            str(torch.__version__),
            torch.get_num_threads(),
            device,
            str(weight.dtype).removeprefix("torch."),
            torch.get_float32_matmul_precision(),
            name,
            compiled(_KERNEL) is not None,
        )

    def to_json(self) -> dict[str, Any]:
        """For a header; `from_json` undoes it."""
        return asdict(self)

    @staticmethod
    def from_json(found: dict[str, Any]) -> Arithmetic:
        """Undo `to_json`."""
        return Arithmetic(**found)

    def refuse_other(self, here: Arithmetic) -> None:
        """Refuse to decode where nothing can come of it.

        Raises:
            CorruptFile: the device or the type of the weights is another.
        """
        if self.device != here.device:
            raise CorruptFile(
                f"expected to decompress on {self.device}, where the file was made, got "
                f"{here.device}: the last bits of their sums differ",
                hint=f"--device {self.device}",
            )
        if self.dtype != here.dtype:
            raise CorruptFile(
                f"expected a model of {self.dtype}, which made the file, got one of {here.dtype}",
                hint="load the model as it was when the file was made",
            )

    def differences(self, here: Arithmetic) -> str:
        """What is not as it was, in words; "" if all is."""
        names = ("torch", "matmul", "processor")
        pairs = [(name, getattr(self, name), getattr(here, name)) for name in names]
        kernels = ("none", "used")
        pairs.append(("compiled kernels", kernels[self.native], kernels[here.native]))
        return ", ".join(f"{name} {was}, here {is_}" for name, was, is_ in pairs if was != is_)

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Inside, as many threads as there were."""
        before = torch.get_num_threads()
        if before != self.threads:
            torch.set_num_threads(self.threads)
        try:
            yield
        finally:
            if before != self.threads:
                torch.set_num_threads(before)
