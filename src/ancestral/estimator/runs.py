"""Run folders: what is in them, and that nothing in them is overwritten or mistaken."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import nn

from ancestral.core import RunError, Specification
from ancestral.training import TrainingConfig

__all__ = ["RunConfig", "check_folder", "load_weights", "prepare_folder", "save_weights"]

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
_FORMAT = "ancestral-run-1"


@dataclass(frozen=True)
class RunConfig:
    """What a run was asked to do: enough to build its parts again.

    Attributes:
        recipe: name.
        options: of the recipe.
        spec: of the data.
        training: every training option.
        data: where the data came from, for the verbs that read them again.
        version: of the library that wrote it.
    """

    recipe: str
    options: dict[str, Any]
    spec: Specification
    training: TrainingConfig
    data: dict[str, Any] = field(default_factory=dict)
    version: str = ""

    def refuse_unknown_options(self, known: Collection[str]) -> None:
        """Refuse a run of a recipe that has other options by now.

        Raises:
            RunError: naming the first option that there is no more.
        """
        strange = next((name for name in self.options if name not in known), None)
        if strange is not None:
            raise RunError(
                f"the run has an option {strange!r} that {self.recipe!r} of this version has not",
                hint=f"it was written by version {self.version}; fit again",
            )

    def refuse_other(self, asked: RunConfig) -> None:
        """Refuse to go on with this run as if it were another.

        Raises:
            RunError: naming the first choice that differs.
        """
        hint = "resume with the same command, or choose another --out"
        if self.recipe != asked.recipe:
            raise RunError(
                f"the run is of recipe {self.recipe!r}, got {asked.recipe!r}", hint=hint
            )
        for name, value in asked.options.items():
            if self.options.get(name) != value:
                raise RunError(
                    f"the run was started with {name} = {self.options.get(name)!r}, got {value!r}",
                    hint=hint,
                )
        self._refuse_other_data(asked, hint)

    def _refuse_other_data(self, asked: RunConfig, hint: str) -> None:
        ours, theirs = self.spec, asked.spec
        for what, was, got in (
            ("kind", ours.kind, theirs.kind),
            ("shape", list(ours.shape), list(theirs.shape)),
            ("codes", ours.num_levels, theirs.num_levels),
            ("columns", ours.columns, theirs.columns),
            ("what rows are given", ours.context, theirs.context),
            ("code of the end", ours.end_code, theirs.end_code),
            ("binarisation", *(s.binarization.partition(":")[0] for s in (ours, theirs))),
            *((name, self.data.get(name), asked.data.get(name)) for name in _VOCABULARY),
        ):
            if was != got and not (what in _VOCABULARY and None in (was, got)):
                raise RunError(
                    f"the run was started on other data: {what} was {_shown(was)}, "
                    f"got {_shown(got)}",
                    hint=hint,
                )

    def save(self, folder: Path) -> None:
        """Write `config.json`, to a temporary name and then renamed."""
        content = {
            "format": _FORMAT,
            "version": self.version,
            "recipe": self.recipe,
            "options": {name: _written(value) for name, value in self.options.items()},
            "data": self.data,
            "training": self.training.to_dict(),
            "specification": self.spec.to_dict(),
        }
        temporary = folder / (CONFIG_FILE + ".tmp")
        temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")
        os.replace(temporary, folder / CONFIG_FILE)

    @staticmethod
    def load(folder: Path) -> RunConfig:
        """Read `config.json`.

        Raises:
            RunError: if the folder is not a run of this library.
        """
        path = folder / CONFIG_FILE
        if not folder.is_dir():
            raise RunError(
                f"there is no run folder {folder}", hint="`ancestral fit` makes one, with --out"
            )
        try:
            content = json.loads(path.read_text())
            if content.get("format") != _FORMAT:
                raise KeyError("format")
            return RunConfig(
                recipe=content["recipe"],
                options={name: _read(value) for name, value in content["options"].items()},
                spec=Specification.from_dict(content["specification"]),
                training=TrainingConfig.from_dict(content["training"]),
                data=content["data"],
                version=content["version"],
            )
        except FileNotFoundError:
            raise RunError(
                f"{folder} is not a run folder: it has no {CONFIG_FILE}",
                hint="name the folder that was given to `ancestral fit --out`",
            ) from None
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError):
            raise RunError(
                f"{path} is not the configuration of a run of this library, or is damaged",
                hint="name the folder that was given to `ancestral fit --out`",
            ) from None


_INFINITE = {"inf": math.inf, "-inf": -math.inf}  # which JSON has no numbers for


def _written(value: object) -> object:
    infinite = isinstance(value, float) and math.isinf(value)
    return str(value) if infinite else value


def _read(value: object) -> object:
    return _INFINITE.get(value, value) if isinstance(value, str) else value


_VOCABULARY = ("symbols", "separator", "encoding")  # older runs say nothing of some


def _shown(value: Any) -> str:
    if isinstance(value, tuple | list) and value and not isinstance(value[0], int):
        names = [getattr(part, "name", str(part)) for part in value]
        return f"{', '.join(names[:8])}{', ...' if len(names) > 8 else ''} ({len(names)})"
    return "none" if value in (None, ()) else str(value)


def check_folder(folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Refuse a run folder that would be overwritten, or is not ours; changes nothing.

    Raises:
        RunError: if the folder holds anything, and neither option says what to do with it; if it
            holds something else than a run; or if it cannot be written to.
    """
    try:
        if folder.exists() and not folder.is_dir():
            raise RunError(f"{folder} is a file, not a folder", hint="choose another --out")
        if folder.is_dir() and any(folder.iterdir()):
            if not (resume or overwrite):
                raise RunError(
                    f"{folder} is not empty",
                    hint="use --resume to go on with it, --overwrite to start anew, or another "
                    "--out",
                )
            RunConfig.load(folder)  # never write into a folder that is not ours
        existing = next(p for p in (folder, *folder.absolute().parents) if p.exists())
        if not existing.is_dir():
            raise RunError(
                f"cannot make the folder {folder}: {existing} is a file",
                hint="choose another --out",
            )
        if not os.access(existing, os.W_OK):
            raise RunError(
                f"cannot write to {folder}: {existing} is read-only", hint="choose another --out"
            )
    except OSError as error:
        raise _cannot_write(folder, error) from None


def prepare_folder(folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Make a run folder, or refuse one that would be overwritten.

    Raises:
        RunError: as `check_folder`.
    """
    check_folder(folder, resume=resume, overwrite=overwrite)
    try:
        if overwrite and folder.is_dir():
            _remove_run_files(folder)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(folder, error) from None


def _cannot_write(folder: Path, error: OSError) -> RunError:
    return RunError(f"cannot write to {folder}: {error.strerror}", hint="choose another --out")


def _remove_run_files(folder: Path) -> None:
    for name in (CONFIG_FILE, WEIGHTS_FILE, "metrics.jsonl", "checkpoint/state.safetensors"):
        (folder / name).unlink(missing_ok=True)


def save_weights(modules: dict[str, nn.Module | None], folder: Path) -> None:
    """Write `model.safetensors`, to a temporary name and then renamed."""
    tensors = {
        f"{prefix}.{name}": value.detach().cpu().contiguous().clone()
        for prefix, module in modules.items()
        if module is not None
        for name, value in module.state_dict().items()
    }
    temporary = folder / (WEIGHTS_FILE + ".tmp")
    safetensors.torch.save_file(tensors, temporary, {"format": _FORMAT})
    os.replace(temporary, folder / WEIGHTS_FILE)


def load_weights(modules: dict[str, nn.Module | None], folder: Path) -> None:
    """Read `model.safetensors` into modules of the same shapes.

    Raises:
        RunError: if it is missing, damaged, or of another model.
    """
    path = folder / WEIGHTS_FILE
    if not path.exists():
        raise RunError(
            f"{folder} holds no trained model yet",
            hint="finish it with `ancestral fit ... --resume`",
        )
    try:
        tensors = safetensors.torch.load_file(path)
        for prefix, module in modules.items():
            if module is not None:
                start = prefix + "."
                own = {k[len(start) :]: v for k, v in tensors.items() if k.startswith(start)}
                module.load_state_dict(own)
    except (SafetensorError, RuntimeError) as error:
        first_line = str(error).splitlines()[0]
        raise RunError(
            f"{path} does not hold the weights that {CONFIG_FILE} describes: {first_line}",
            hint="the folder is damaged or mixed up; fit again",
        ) from None
