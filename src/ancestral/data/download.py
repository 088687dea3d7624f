"""Downloads that are whole and are what they should be, or are not there at all."""

from __future__ import annotations

import hashlib
import http.client
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ancestral.core.errors import DataError
from ancestral.core.registry import nearest

__all__ = ["Download", "download"]

_CHUNK = 1 << 20
_TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Download:
    """A file with a stable public address.

    Args:
        url: of the file, pinned to a version where its host allows.
        sha256: of its content, in hexadecimal.
        path: where it goes within a data folder.
    """

    url: str
    sha256: str
    path: str


def download(
    name: str, url_table: Mapping[str, tuple[Download, ...]], cache_dir: str | Path
) -> list[Path]:
    """Fetch the files of a data set into a folder; those already there are checked and kept.

    Args:
        name: of the data set.
        url_table: the files of each data set that can be had.
        cache_dir: the folder.

    Returns:
        Where each file is.

    Raises:
        DataError: no public source is known, the host does not answer, or the content is not
            what it should be. Nothing is left behind then.
    """
    if not url_table.get(name):
        raise DataError(
            f"expected a data set with a public source, got {name!r}",
            hint=nearest(name, [k for k, files in url_table.items() if files]),
        )
    return [_fetched(file, Path(cache_dir)) for file in url_table[name]]


def _fetched(file: Download, folder: Path) -> Path:
    target = folder / file.path
    if target.is_file():
        if hashlib.sha256(target.read_bytes()).hexdigest() == file.sha256:
            return target
        raise DataError(
            f"expected {target} with sha256 {file.sha256[:12]}..., got other content",
            hint="move it away to download it again; nothing is overwritten",
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, suffix=".part")
    except OSError as error:
        raise DataError(f"expected a folder to write to, got: {error}") from error
    try:
        with os.fdopen(descriptor, "wb") as out:
            found = _copied(file.url, out)
        if found != file.sha256:
            raise DataError(
                f"expected sha256 {file.sha256[:12]}... of {file.url}, got {found[:12]}...",
                hint="the file at this address has changed or was damaged on the way",
            )
        os.replace(temporary, target)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return target


def _copied(url: str, out: BinaryIO) -> str:
    """Write the body of an answer; its sha256."""
    digest, got = hashlib.sha256(), 0
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as answer:
            promised = answer.headers.get("Content-Length")
            while chunk := answer.read(_CHUNK):
                digest.update(chunk)
                out.write(chunk)
                got += len(chunk)
    except urllib.error.HTTPError as error:
        status = f"{error.code} {error.reason}"
        error.close()
        raise DataError(f"expected the file at {url}, got: {status}") from None
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        reason = getattr(error, "reason", error)
        raise DataError(
            f"expected an answer from {url}, got: {reason}", hint="is there a network?"
        ) from error
    if promised is not None and got != int(promised):
        raise DataError(
            f"expected {promised} bytes from {url}, got {got}: the connection was cut",
            hint="try again",
        )
    return digest.hexdigest()
