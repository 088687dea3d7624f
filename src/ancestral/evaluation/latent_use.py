"""`LatentUse`: whether the latent variables are used, in numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ancestral.evaluation.information import Information, rounded_down

__all__ = ["ACTIVE_VARIANCE", "LatentUse"]

ACTIVE_VARIANCE = 0.01  # Burda et al. (2016), section 5.2
_FEW = 0.25  # share of active units below which a model is called partly collapsed
_NOTHING = 0.1  # nats that are as good as none
_LITTLE, _LITTLE_PER_UNIT = 0.5, 0.02  # nats, of all units and of each, that are hardly any
_FAR = 1.0  # nats from prior to aggregate posterior that are worth a sentence
_MUCH = 0.1  # share of the KL that is worth the same

_CURES = (
    "what helps in general: a KL warm-up, free bits or a smaller weight of the KL, or a decoder "
    "that has less to go by (fewer layers; where it is autoregressive, a smaller field of view)"
)
_ADVICE = (
    "fewer latent variables would do, or a KL warm-up, free bits or a smaller weight of the KL "
    "may wake the others"
)


@dataclass(frozen=True)
class LatentUse:
    r"""How much the latent variables say of the data.

    A unit is active if its posterior mean moves with x:
    :math:`\mathrm{Var}_x(E_q[z_u \mid x]) > 0.01`.

    Args:
        variance_of_means: [latent], variance over the data of the posterior mean.
        kl_per_dim: [latent], KL from prior to posterior of each dimension, mean over the data,
            nats; None where it has no closed form.
        kl: KL(q(z | x) || p(z)) of all dimensions together, mean over the data, nats.
        information: how much of the KL tells rows apart; None if it was not estimated.
        layer_sizes: units of each stochastic layer, the one nearest the data first; () for one.
        kl_per_layer: what each layer adds to the KL, nats: E_q of log q - log p of the layer,
            each given the layer that it is conditional on; () if q does not tell layers apart.

    Example:
        >>> LatentUse(np.array([0.9, 0.0, 0.4]), None).active_units
        2

    References:
        | Importance Weighted Autoencoders (Burda et al., 2016), section 5.2
    """

    variance_of_means: np.ndarray
    kl_per_dim: np.ndarray | None
    kl: float | None = None
    information: Information | None = None
    layer_sizes: tuple[int, ...] = ()
    kl_per_layer: tuple[float, ...] = ()

    @property
    def latent_size(self) -> int:
        """Number of latent dimensions."""
        return len(self.variance_of_means)

    @property
    def active_units(self) -> int:
        """Number of units whose posterior mean moves with x."""
        return int((self.variance_of_means > ACTIVE_VARIANCE).sum())

    @property
    def active_units_per_layer(self) -> tuple[int, ...]:
        """The same by layer, the one nearest the data first."""
        ends = np.cumsum(self.layer_sizes)[:-1]
        parts = np.split(self.variance_of_means, ends) if self.layer_sizes else []
        return tuple(int((part > ACTIVE_VARIANCE).sum()) for part in parts)

    @property
    def has_collapsed(self) -> bool:
        """Whether z, a layer of it or three quarters of its units say nothing of x, or may."""
        return self._collapse() is not None

    @property
    def verdict(self) -> str:
        """Whether the posterior has collapsed, in words, and what to do about it."""
        return self._collapse() or self._no_collapse()

    @property
    def mismatch(self) -> str | None:
        """A sentence on codes that the prior does not draw; None if they are not known to be."""
        if self.information is None:
            return None
        distance = self.information.marginal_kl_at_least
        if distance < max(_FAR, _MUCH * self.information.kl):
            return None
        return (
            f"the codes of the data, taken together, are at least {rounded_down(distance)} nats "
            "away from the prior, so samples come from codes that the decoder was not trained on; "
            "a prior that is richer, or learnt longer, would narrow the gap"
        )

    def _collapse(self) -> str | None:
        return self._whole_collapse() or self._partial_collapse() or self._possible_collapse()

    def _possible_collapse(self) -> str | None:
        """Where a KL is paid for, and no information could be found."""
        known = self.information
        if known is None or known.mutual_information >= _NOTHING:
            return None
        return (
            f"possible posterior collapse: z carries somewhere from {known.at_least} to "
            f"{known.mutual_information_at_most:.1f} nats of x, which may be next to nothing; "
            f"{_CURES}"
        )

    def _whole_collapse(self) -> str | None:
        size, known = self.latent_size, self.information
        if self.kl is not None and self.kl < _NOTHING and self.active_units > 0:
            return (
                f"posterior collapse: KL(q(z | x) || p(z)) is {max(self.kl, 0):.2f} nats, so z "
                f"carries next to nothing of x and the model ignores it; {_CURES}"
            )
        if self.kl is not None and _NOTHING <= self.kl < min(_LITTLE, _LITTLE_PER_UNIT * size):
            return (
                f"nearly complete posterior collapse: KL(q(z | x) || p(z)) is {self.kl:.2f} nats, "
                f"so {size} latent units together carry no more than that of x; {_CURES}"
            )
        if known is not None and self.kl is not None and self.kl >= _NOTHING:
            if known.mutual_information_at_most < max(_NOTHING, 0.02 * self.kl):
                return (
                    f"posterior collapse: q(z | x) differs from the prior by {self.kl:.2f} nats, "
                    f"but is nearly the same for every x (mutual information at most "
                    f"{known.mutual_information_at_most:.2f} nats), so z carries next to nothing "
                    "of x; train longer, or let the prior learn"
                )
            if self.active_units == 0 and known.mutual_information > _NOTHING:
                return None
        if self.active_units == 0:
            return (
                f"posterior collapse: none of the {size} latent units is active, so the model "
                f"ignores z; {_CURES}"
            )
        return None

    def _partial_collapse(self) -> str | None:
        size, active = self.latent_size, self.active_units
        idle = [i + 1 for i, units in enumerate(self.active_units_per_layer) if units == 0]
        if idle and active:
            one = len(idle) == 1
            which = f"layer {idle[0]}" if one else f"layers {', '.join(map(str, idle))}"
            costs = any(self.kl_per_layer[i - 1] >= _NOTHING for i in idle if self.kl_per_layer)
            if costs:  # so that scales or modes may still tell data apart
                what = f"{'has' if one else 'have'} no unit whose mean moves with x"
            else:
                what = f"{'carries' if one else 'carry'} nothing of x"
            return (
                f"partial posterior collapse: {which} of {len(self.layer_sizes)}, counted from "
                f"the data up, {what} ({self._by_layer()}); a longer KL warm-up or free bits may "
                "wake what is idle, and fewer layers would do as well"
            )
        if 0 < active < _FEW * size:
            verb = "is" if size - active == 1 else "are"
            return (
                f"partial posterior collapse: {size - active} of {size} latent units {verb} "
                f"inactive{self._carried(', and')}; {_ADVICE}"
            )
        return None

    def _no_collapse(self) -> str:
        size, active = self.latent_size, self.active_units
        layers = f" ({self._by_layer()})" if len(self.layer_sizes) > 1 else ""
        if active == 0:
            return f"no posterior collapse: the means of q stand still{self._carried(', but')}"
        if active == size:
            return (
                f"no posterior collapse: all {size} latent units are active{layers}"
                f"{self._carried(', and')}"
            )
        return (
            f"no posterior collapse: {active} of {size} latent units are active{layers}"
            f"{self._carried(', and')}; the other {size - active} could be left out"
        )

    def _carried(self, joint: str) -> str:
        known = self.information
        if known is None:
            return ""
        return f"{joint} z carries at least {known.at_least} nats of x"

    def _by_layer(self) -> str:
        counts = zip(self.active_units_per_layer, self.layer_sizes, strict=True)
        text = "active by layer: " + ", ".join(f"{a} of {n}" for a, n in counts)
        if self.kl_per_layer:
            text += "; KL " + ", ".join(f"{max(kl, 0):.2f}" for kl in self.kl_per_layer)
        return text
