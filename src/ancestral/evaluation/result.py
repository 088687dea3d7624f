"""`Evaluation`: the numbers of a fitted model on some data, and what they are worth."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ancestral.core.estimate import Kind
from ancestral.evaluation.fingerprint import Fingerprint
from ancestral.evaluation.gaps import Gaps
from ancestral.evaluation.information import Information
from ancestral.evaluation.symbols import PerSymbol
from ancestral.evaluation.words import counted

__all__ = [
    "Bounds",
    "EffectiveSamples",
    "ErrorOfReconstruction",
    "Evaluation",
    "Number",
    "Setting",
    "Tails",
    "log_prob_name",
]


@dataclass(frozen=True)
class Setting:
    """What was evaluated; numbers can be compared only where all but the recipe agree.

    Args:
        recipe: name of the model's recipe.
        data: name or path of the data.
        split: such as "test".
        binarization: how grey values became 0 and 1, in words; "" if they did not.
    """

    recipe: str
    data: str
    split: str
    binarization: str = ""


_PREFIXES: Mapping[Kind, str] = {
    "exact": "",
    "lower_bound": "lower bound on ",
    "upper_bound": "upper bound on ",
    "unbiased": "estimate of ",
    "consistent": "estimate of ",
}


def log_prob_name(kind: Kind) -> str:
    """What to call numbers of a kind, so that no bound is called log p.

    Example:
        >>> log_prob_name("lower_bound"), log_prob_name("exact")
        ('lower bound on log p(x)', 'log p(x)')
    """
    return f"{_PREFIXES[kind]}log p(x)"


@dataclass(frozen=True)
class Number:
    """A mean over the data, in nats per datum.

    Args:
        value: the mean; higher is better.
        std_error: of the mean, over the data.
        kind: what `value` is of the mean log p(x).
        samples: of z behind each datum's value; None where none are needed.
    """

    value: float
    std_error: float
    kind: Kind
    samples: int | None

    def in_words(self) -> str:
        """What the number is, for people.

        Example:
            >>> Number(-91.2, 0.3, "lower_bound", 1000).in_words()
            'a lower bound, from 1,000 samples for each datum: the true value is this or higher'
        """
        many = "" if self.samples is None else counted(self.samples, "sample")
        samples = f", from {many} for each datum" if many else ""
        match self.kind:
            case "exact":
                return "exact"
            case "lower_bound":
                return f"a lower bound{samples}: the true value is this or higher"
            case "upper_bound":
                return f"an upper bound{samples}: the true value is this or lower"
            case "unbiased":
                return f"an unbiased estimate{samples}"
            case "consistent":
                return f"an estimate{samples}, not a bound: it may be too high or too low"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "value": self.value,
            "std_error": self.std_error,
            "kind": self.kind,
            "unit": "nats",
            "samples": self.samples,
        }

    @staticmethod
    def from_dict(d: Mapping[str, Any]) -> Number:
        """Undo `to_dict`."""
        return Number(_number(d["value"]), _number(d["std_error"]), d["kind"], d["samples"])


@dataclass(frozen=True)
class Bounds:
    """Log p of data that the model made, between two bounds (bidirectional Monte Carlo).

    Args:
        lower: mean of the lower bounds.
        upper: mean of the upper bounds.
        gap: upper less lower.
        std_error: of the gap, over the data.
    """

    lower: Number
    upper: Number
    gap: float
    std_error: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON: `lower`, `upper` and `gap`."""
        return {
            "lower": self.lower.to_dict(),
            "upper": self.upper.to_dict(),
            "gap": {"value": self.gap, "std_error": self.std_error, "unit": "nats"},
        }

    @staticmethod
    def from_dict(d: Mapping[str, Any]) -> Bounds:
        """Undo `to_dict`."""
        gap = d["gap"]
        return Bounds(
            Number.from_dict(d["lower"]),
            Number.from_dict(d["upper"]),
            _number(gap["value"]),
            _number(gap["std_error"]),
        )


@dataclass(frozen=True)
class ErrorOfReconstruction:
    """What an autoencoder has in place of a likelihood: mean of -log p(x | z) at its own code."""

    value: float
    std_error: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON; the unit says that this is no likelihood."""
        return {
            "value": self.value,
            "std_error": self.std_error,
            "unit": "nats of -log p(x | z = encode(x)), a reconstruction error, not a likelihood",
        }


@dataclass(frozen=True)
class Tails:
    """Pareto k-hat of the importance weights over the data; None for infinite or undefined.

    Args:
        median: over the data.
        max: over the data.
        share_above_threshold: of the data, those whose k-hat is undefined included.
        threshold: above which log p of a datum is not to be trusted.
        quantiles: by name, such as "5%", over the data.
    """

    median: float | None
    max: float | None
    share_above_threshold: float
    threshold: float
    quantiles: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class EffectiveSamples:
    """Effective sample size of the importance weights over the data."""

    median: float | None
    min: float | None


@dataclass(frozen=True)
class Evaluation:
    """All numbers of one model on one split. What does not apply is None.

    Args:
        setting: what was evaluated.
        n: number of data.
        log_prob: mean log p(x), or the best estimate of it.
        bits_per_dim: -log_prob in bits for each (observed) cell; None where `per_symbol` is of
            sequences with an end, since cells after it cost nothing.
        per_symbol: of text, nats for each symbol.
        elbo: mean evidence lower bound.
        reconstruction: its first term, E_q log p(x | z), nats.
        kl: its second term, nats.
        reconstruction_error: of autoencoders, which have none of the above.
        khat: tails of the importance weights.
        ess: effective sample sizes.
        active_units: latent units that move with x (Burda et al., 2016).
        active_units_per_layer: the same by stochastic layer, that nearest the data first; None
            for a single one.
        kl_per_layer: what each adds to the KL, nats; None if q does not tell layers apart.
        information: mutual information of x and z, and marginal KL, of some rows.
        gaps: approximation and amortisation gap of some rows; None if not asked for.
        bounds: on log p of simulated data; there is no `log_prob` then.
        kl_per_dim: KL of each latent dimension, nats.
        latent_size: number of latent dimensions.
        collapse: verdict on posterior collapse, in words.
        warnings: what to be careful about, one sentence each.
        notes: how to read the numbers, one sentence each.
        values: [n], log p of each datum (an autoencoder's negative error), for comparisons in
            pairs; it is not part of `to_dict`.
        fingerprint: of the rows, which tells whether two numbers are of the same ones.
        khat_values: [n], k-hat of each datum, for pictures; not part of `to_dict` either.
        variance_of_means: [latent], of the posterior means over the data; the same.
    """

    setting: Setting
    n: int
    log_prob: Number | None = None
    bits_per_dim: float | None = None
    elbo: Number | None = None
    reconstruction: float | None = None
    kl: float | None = None
    reconstruction_error: ErrorOfReconstruction | None = None
    khat: Tails | None = None
    ess: EffectiveSamples | None = None
    active_units: int | None = None
    active_units_per_layer: tuple[int, ...] | None = None
    kl_per_layer: tuple[float, ...] | None = None
    kl_per_dim: tuple[float, ...] | None = None
    latent_size: int | None = None
    collapse: str | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    values: np.ndarray | None = None
    per_symbol: PerSymbol | None = None
    information: Information | None = None
    gaps: Gaps | None = None
    bounds: Bounds | None = None
    fingerprint: Fingerprint | None = None
    khat_values: np.ndarray | None = None
    variance_of_means: np.ndarray | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON: what does not apply is left out, and every number is finite or null."""
        entries = {
            **asdict(self.setting),
            "n": self.n,
            "fingerprint": self.fingerprint and self.fingerprint.to_dict(),
            "log_prob": self.log_prob and self.log_prob.to_dict(),
            **(self.bounds.to_dict() if self.bounds else {}),
            "bits_per_dim": self.bits_per_dim,
            "per_symbol": self.per_symbol and self.per_symbol.to_dict(),
            "elbo": self.elbo and self.elbo.to_dict(),
            "reconstruction": self.reconstruction,
            "kl": self.kl,
            "reconstruction_error": self.reconstruction_error
            and self.reconstruction_error.to_dict(),
            "khat": self.khat and asdict(self.khat),
            "ess": self.ess and asdict(self.ess),
            "active_units": self.active_units,
            "active_units_per_layer": self.active_units_per_layer
            and list(self.active_units_per_layer),
            "kl_per_layer": self.kl_per_layer and list(self.kl_per_layer),
            **(self.information.to_dict() if self.information else {}),
            "gaps": self.gaps and self.gaps.to_dict(),
            "kl_per_dim": self.kl_per_dim and list(self.kl_per_dim),
            "latent_size": self.latent_size,
            "collapse": self.collapse,
            "warnings": list(self.warnings),
            "notes": list(self.notes),
        }
        return _finite({name: entry for name, entry in entries.items() if entry is not None})

    @staticmethod
    def from_dict(d: Mapping[str, Any], values: np.ndarray | None = None) -> Evaluation:
        """Undo `to_dict`; values for each datum are given apart, if they were kept."""
        error = d.get("reconstruction_error")
        return Evaluation(
            setting=Setting(d["recipe"], d["data"], d["split"], d["binarization"]),
            n=d["n"],
            fingerprint=Fingerprint.from_dict(d["fingerprint"]) if "fingerprint" in d else None,
            bounds=Bounds.from_dict(d) if "gap" in d else None,
            log_prob=Number.from_dict(d["log_prob"]) if "log_prob" in d else None,
            bits_per_dim=d.get("bits_per_dim"),
            elbo=Number.from_dict(d["elbo"]) if "elbo" in d else None,
            reconstruction=d.get("reconstruction"),
            kl=d.get("kl"),
            reconstruction_error=error
            and ErrorOfReconstruction(_number(error["value"]), _number(error["std_error"])),
            khat=Tails(**d["khat"]) if "khat" in d else None,
            ess=EffectiveSamples(**d["ess"]) if "ess" in d else None,
            active_units=d.get("active_units"),
            active_units_per_layer=tuple(d["active_units_per_layer"])
            if "active_units_per_layer" in d
            else None,
            kl_per_layer=tuple(d["kl_per_layer"]) if "kl_per_layer" in d else None,
            information=Information.from_dict(d["mutual_information"])
            if "mutual_information" in d
            else None,
            gaps=Gaps.from_dict(d["gaps"]) if "gaps" in d else None,
            kl_per_dim=tuple(d["kl_per_dim"]) if "kl_per_dim" in d else None,
            latent_size=d.get("latent_size"),
            collapse=d.get("collapse"),
            warnings=tuple(d["warnings"]),
            notes=tuple(d["notes"]),
            values=values,
            per_symbol=PerSymbol.from_dict(d["per_symbol"]) if "per_symbol" in d else None,
        )


def _finite(entry: Any) -> Any:
    """The same with null for NaN and infinity, which JSON does not have."""
    if isinstance(entry, dict):
        return {name: _finite(part) for name, part in entry.items()}
    if isinstance(entry, list):
        return [_finite(part) for part in entry]
    return None if isinstance(entry, float) and not math.isfinite(entry) else entry


def _number(value: float | None) -> float:
    return math.nan if value is None else value
