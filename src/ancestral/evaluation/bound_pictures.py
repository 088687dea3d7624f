"""Pictures of what the bound is made of: the KL and its parts, the gaps and theirs."""

from __future__ import annotations

from ancestral.evaluation.gaps import ENCODER, Gap, Gaps
from ancestral.evaluation.information import Information, rounded_down
from ancestral.evaluation.picture import Material, Picture, Section
from ancestral.evaluation.words import counted
from ancestral.plots import Part, SplitBar, split_bars

__all__ = ["bound_pictures"]

_SMALLEST = 0.005  # nats below which a part is not drawn
_MINUS = "\N{MINUS SIGN}"


def bound_pictures(material: Material) -> list[Picture]:
    """What of the KL is information, and where the bound loses against log p."""
    pictures = []
    if material.information is not None and material.information.kl > _SMALLEST:
        pictures.append(_information(material.information))
    if material.gaps is not None and material.gaps.total.value > _SMALLEST:
        pictures.append(_gaps(material.gaps))
    return pictures


def _information(known: Information) -> Picture:
    certain, possible = known.mutual_information, known.mutual_information_at_most
    parts = (
        Part(f"what z says of x: at least {known.at_least} nats", certain, "first"),
        Part(f"one or the other: {possible - certain:.1f} nats", possible - certain, "between"),
        Part(
            f"codes away from the prior: {rounded_down(known.marginal_kl_at_least)} nats or more",
            known.marginal_kl_at_least,
            "second",
        ),
    )
    # noise in a KL without closed form may make its parts a little longer than the whole
    drawn = tuple(part for part in parts if part.value > _SMALLEST)
    title = f"KL(q(z|x) || p(z)): {known.kl:.1f} nats"
    caption = (
        "The KL term in two parts (Hoffman & Johnson, 2016): the mutual information of x and z, "
        "which is what the code says of a datum, and the distance from the prior to all codes "
        f"taken together. Estimates from {known.num_rows:,} rows: they can tell at most "
        f"log {known.num_rows:,} = {known.limit:.1f} nats of information for certain"
    )
    if known.aggregate != "densities":
        caption += "; q is known by its draws alone, which makes the certain part smaller"
    figure = split_bars([SplitBar(title, drawn)])
    return Picture("information", Section.BOUND, f"{caption}.", figure)


def _gaps(gaps: Gaps) -> Picture:
    if gaps.approximation is None or gaps.amortization is None:
        parts = (Part(f"not split: {_with_error(gaps.total)} nats", gaps.total.value, "between"),)
        why = "It is not split, since q passes no gradients to fit it by"
    else:
        parts = (
            _part("the family of q", gaps.approximation, "first"),
            _part(gaps.found_by, gaps.amortization, "second"),
        )
        why = (
            f"The family loses what its best member for each datum ({gaps.family}) still lacks; "
            f"{gaps.found_by} {_loses(gaps)} what is missed of that. A large first part asks for "
            f"a richer q (a flow, a full covariance), a large second one for {_cure(gaps)}"
        )
    caption = (
        f"How far the ELBO lies below log p(x), and why (Cremer et al., 2018), over "
        f"{counted(gaps.num_rows, 'datum', 'data')}; estimates. {why}."
    )
    title = f"log p(x) {_MINUS} ELBO: {_with_error(gaps.total)} nats"
    return Picture("gaps", Section.BOUND, caption, split_bars([SplitBar(title, parts)]))


def _loses(gaps: Gaps) -> str:
    return "loses" if gaps.found_by == ENCODER else "lose"


def _cure(gaps: Gaps) -> str:
    return "a larger or longer trained encoder" if gaps.found_by == ENCODER else "more of them"


def _part(name: str, gap: Gap, look: str) -> Part:
    return Part(f"lost by {name}: {_with_error(gap)} nats", max(gap.value, 0.0), look)


def _with_error(gap: Gap) -> str:
    return f"{gap.value:.2f} ± {gap.std_error:.2f}".replace("-", _MINUS)
