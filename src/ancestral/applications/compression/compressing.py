"""`compress` and `decompress`: documents to files and back, checked at both ends."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ancestral.applications.compression.arithmetic import Arithmetic
from ancestral.applications.compression.choosing import codec_for
from ancestral.applications.compression.codec import Codec, CodingOptions, Progress
from ancestral.applications.compression.compressed import Compressed, Decompressed
from ancestral.applications.compression.container import Container, CorruptFile
from ancestral.applications.compression.documents import FORMS, Document, Reading
from ancestral.applications.compression.entropy import CorruptWords
from ancestral.applications.compression.gaps import Gaps
from ancestral.applications.compression.grids import Grids
from ancestral.applications.compression.lossy import LossyCodec
from ancestral.applications.compression.packing import pack, unpack
from ancestral.applications.compression.running import RunningCodec, sensible_lanes
from ancestral.core import AncestralError, IncompatibleChoices, NotExact
from ancestral.inference.posteriors import Posterior
from ancestral.models import AutoregressiveModel, LatentVariableModel

__all__ = ["Coder"]

_ROWS = 500  # at once, by default


@dataclass(frozen=True)
class Coder:
    """A model as a compressor of documents.

    Args:
        model: in evaluation mode.
        posterior: q, for latent-variable models.
        reading: how the run reads its data.
        name: of the model, for messages: its recipe.
        fingerprint: of all that decides on its numbers; files of another are refused.
        version: of the library.
    """

    model: nn.Module
    posterior: Posterior | None
    reading: Reading
    name: str
    fingerprint: str
    version: str

    def compress(
        self,
        document: Document,
        *,
        batch_size: int | None = None,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Compressed:
        """A document as a file.

        Args:
            document: what is to come back.
            batch_size: rows, or lanes of running text, that are coded at once; None: 500 rows, or
                as many lanes as suit the length.
            seed: of the bits that bits-back begins with.
            progress: is told of rows that are done.

        Raises:
            NotExact, IncompatibleChoices: the model cannot compress such a document.
        """
        number = len(document.symbols)
        options = CodingOptions(
            self._sensible_batch(document) if batch_size is None else batch_size, seed
        )
        codec = self._codec(document.is_running, document.grids, options)
        started = time.perf_counter()
        given = document.context
        if given is not None:  # as it will be read from the file
            given = given.to(torch.float32)
        encoded = None
        if number:
            with torch.no_grad():
                encoded = codec.encode(document.symbols, given, progress, document.gaps)
        seconds = time.perf_counter() - started
        words = np.zeros(0, np.uint32) if encoded is None else encoded.words
        content, num_side = self.file(document, options, words)
        self._refuse_unlike(document)
        return Compressed(
            content,
            number,
            document.symbols.numel(),
            0.0 if encoded is None else encoded.content_nats,
            0.0 if encoded is None else encoded.coded_nats,
            "exact" if encoded is None else encoded.kind,
            len(words),
            num_side,
            seconds,
        )

    def verify(self, data: bytes, document: Document, *, progress: Progress | None = None) -> None:
        """Decompress a file once more, and compare.

        Args:
            data: the file.
            document: that it was made of; of a lossy file, what `restored` makes of it.
            progress: is told of rows that are done.

        Raises:
            CorruptFile: something else came out.
        """
        if self.decompress(data, progress=progress).content != document.content:
            raise CorruptFile(
                "expected a file from which the data come back, got one that gives others",
                hint="please report it with the data",
            )

    def file(
        self,
        document: Document,
        options: CodingOptions,
        words: np.ndarray,
        *,
        is_lossy: bool = False,
    ) -> tuple[bytes, int]:
        """A file of words that a codec made, and how many bytes of it are side information.

        Args:
            document: what is to come back.
            options: of the codec.
            words: of the document's symbols.
            is_lossy: whether it is the reconstructions that come back.
        """
        context, shape = b"", None
        if document.context is not None:
            given = document.context.to(torch.float32)
            context, shape = given.numpy().tobytes(), list(given.shape)
        gaps = b"" if document.gaps is None else document.gaps.to_bytes()
        side = pack((*document.side, context, gaps))
        header = {
            "version": self.version,
            "form": document.form,
            "details": document.details,
            "rows": len(document.symbols),
            "running": document.is_running,
            "grids": document.grids.to_json(),
            "batch": options.batch_size,
            "seed": options.seed,
            "context": shape,
            "recipe": self.name,
            "model": self.fingerprint,
            "arithmetic": Arithmetic.here(self.model).to_json(),
            "size": len(document.content),
            "sha256": _checksum(document.content),
        }
        if is_lossy:
            header["lossy"] = True
        return Container(header, side, words).to_bytes(), len(side)

    def restored(self, document: Document, symbols: Tensor) -> Document:
        """The document with other symbols in the place of its own."""
        content = FORMS[document.form].restore(
            document.details,
            list(document.side),
            symbols.numpy(),
            document.grids,
            self.reading,
            document.gaps,
        )
        return replace(document, content=content, symbols=symbols)

    def lossy_codec(self, grids: Grids, options: CodingOptions) -> LossyCodec:
        """What sends z alone.

        Raises:
            NotExact: the model has no latent variables.
        """
        if not isinstance(self.model, LatentVariableModel) or self.posterior is None:
            raise NotExact(
                f"a lossy message is of latent variables that are inferred from the data, and "
                f"{self.name!r} has none",
                hint="leave out --lossy, or fit `vae`",
            )
        return LossyCodec(self.model, self.posterior, self.reading.spec, grids, options)

    def decompress(self, data: bytes, *, progress: Progress | None = None) -> Decompressed:
        """A file as the document that it was made of.

        Raises:
            CorruptFile: it is damaged, of another version, or of another model; or this machine
                computes other masses than the one that made it.
        """
        container = Container.from_bytes(data)
        header = container.header
        self._refuse_other_model(header)
        was, here = Arithmetic.from_json(header["arithmetic"]), Arithmetic.here(self.model)
        was.refuse_other(here)
        options = CodingOptions(header["batch"], header["seed"])
        grids = Grids.from_json(header["grids"])
        started = time.perf_counter()
        *side, context, missing = unpack(container.side)
        given = gaps = None
        if header["context"] is not None:
            given = torch.from_numpy(np.frombuffer(context, np.float32).reshape(header["context"]))
        try:
            shape = () if header["running"] else self.reading.spec.shape
            symbols = torch.zeros((0, *shape), dtype=torch.int64)
            if missing:
                gaps = Gaps.from_bytes(missing, header["rows"], shape)
            if header["rows"]:
                codec: Codec | LossyCodec = (
                    self.lossy_codec(grids, options)
                    if "lossy" in header
                    else self._codec(header["running"], grids, options)
                )
                with torch.no_grad(), was.restored():
                    symbols = codec.decode(container.words, header["rows"], given, progress, gaps)
            form = FORMS[header["form"]]
            content = form.restore(
                header["details"], side, symbols.cpu().numpy(), grids, self.reading, gaps
            )
        except (CorruptWords, ArithmeticError, AssertionError, IndexError, ValueError) as error:
            if isinstance(error, AncestralError) and not isinstance(error, CorruptWords):
                raise
            raise self._other_masses(header, was, here) from error
        if len(content) != header["size"] or _checksum(content) != header["sha256"]:
            raise self._other_masses(header, was, here)
        seconds = time.perf_counter() - started
        return Decompressed(
            header["form"],
            content,
            header["details"],
            header["rows"],
            seconds,
            is_lossy="lossy" in header,
        )

    def _codec(self, is_running: bool, grids: Grids, options: CodingOptions) -> Codec:  # noqa: FBT001
        if not is_running:
            return codec_for(self.model, self.posterior, self.reading.spec, grids, options)
        assert isinstance(self.model, AutoregressiveModel)
        return RunningCodec(self.model, options)

    def _sensible_batch(self, document: Document) -> int:
        return sensible_lanes(len(document.symbols)) if document.is_running else _ROWS

    def _refuse_unlike(self, document: Document) -> None:
        """Make sure that the symbols are enough: a document comes back, or is refused now."""
        if self.restored(document, document.symbols).content != document.content:
            raise IncompatibleChoices(
                "expected content that can be put together again byte for byte, got other",
                hint="please report it with the file",
            )

    def _refuse_other_model(self, header: dict[str, Any]) -> None:
        if header["model"] == self.fingerprint:
            return
        same = "" if header["recipe"] != self.name else ", trained otherwise"
        raise CorruptFile(
            f"expected a file that this model made, got one of another model: of a "
            f"{header['recipe']!r}{same}",
            hint="decompress with the run that compressed it, as it was then",
        )

    def _other_masses(
        self, header: dict[str, Any], was: Arithmetic, here: Arithmetic
    ) -> CorruptFile:
        found = was.differences(here)
        if header["version"] != self.version:
            found = ", ".join(
                filter(None, (f"ancestral {header['version']}, here {self.version}", found))
            )
        why = f": {found}" if found else ""
        return CorruptFile(
            "expected to decode what was compressed, got other data: the masses computed here are "
            f"not those of the file's making{why}",
            hint="decompress on a machine like the one that compressed, with the same versions",
        )


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
