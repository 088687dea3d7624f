"""Draws from heads as C functions; each gives what the head's `draw` gives."""

from __future__ import annotations

from functools import singledispatch

from ancestral.core.native_draw import NativeDraw
from ancestral.distributions.bernoulli import Bernoulli
from ancestral.distributions.categorical import Categorical
from ancestral.distributions.cells import CellHead
from ancestral.distributions.discretized_logistic import DiscretizedLogistic
from ancestral.distributions.mixture import SiteMixture
from ancestral.distributions.sites import SiteHead
from ancestral.distributions.uniform_sites import CellSite, UniformSites

__all__ = ["native_draw"]

_NAMED = """
static void draw(real *f, const real *u, const double *p, real *x) { %s(f, u, p, x); }
"""

_BERNOULLI = r"""
/* p: width */
static void draw_bernoulli(real *f, const real *u, const double *p, real *x) {
    for (long w = 0; w < (long)p[0]; w++) x[w] = u[w] > 1 / (1 + exp((double)f[w]));
}
"""

# the first code whose cumulative mass reaches u; the logits of one sub-symbol lie `width` apart
_CHOOSE = r"""
static long choose_code(real *f, long num, long width, real u) {
    real most = f[0];
    for (long k = 1; k < num; k++) most = f[k * width] > most ? f[k * width] : most;
    double total = 0, reached = 0;
    if (width == 1) {
        vec sums = {0};
        for (long k = num; k < num + LANES; k++) f[k] = -LARGEST * 2 + most;
        for (long k = 0; k < num; k += LANES) {
            vec mass = exponential(load(f + k) - most);
            if (k + LANES > num) for (long j = num - k; j < LANES; j++) mass[j] = 0;
            store(f + k, mass);
            sums += mass;
        }
        for (long j = 0; j < LANES; j++) total += sums[j];
    } else {
        for (long k = 0; k < num; k++) total += f[k * width] = exp((double)(f[k * width] - most));
    }
    long k = 0;
    for (; k < num - 1; k++) if (!((reached += f[k * width]) < u * total)) break;
    return k;
}
"""

_CATEGORICAL = (
    _CHOOSE
    + r"""
/* p: width, codes */
static void draw_categorical(real *f, const real *u, const double *p, real *x) {
    long width = p[0];
    if (width == 1) { x[0] = choose_code(f, p[1], 1, u[0]); return; }
    for (long w = 0; w < width; w++) x[w] = choose_code(f + w, p[1], width, u[w]);
}
"""
)

_LOGISTIC = r"""
/* p: width, codes, least log-scale; width is 1 */
static void draw_logistic(real *f, const real *u, const double *p, real *x) {
    double over = f[1] - p[2], top = p[1] - 1, log_scale = f[1];
    if (p[2] > -INFINITY) log_scale = p[2] + (over > 30 ? over : log1p(exp(over)));
    double y = f[0] + exp(log_scale) * (log(u[0]) - log1p(-u[0]));
    double level = rint((y + 1) * (top / 2));
    x[0] = level <= 0 ? 0 : level > top ? top : level;  /* 0 for -0, and NaN for NaN */
}
"""

_MIXTURE = (
    _CHOOSE
    + _LOGISTIC
    + r"""
/* p: width, codes, least log-scale, components; width is 1 */
static void draw_mixture(real *f, const real *u, const double *p, real *x) {
    long num = p[3];
    real weights[64 + LANES];
    memcpy(weights, f, num * sizeof(real));
    long k = choose_code(weights, num, 1, u[0]);
    draw_logistic(f + num + 2 * k, u + 1, p, x);
}
"""
)
_MOST_COMPONENTS = 64


def native_draw(head: SiteHead) -> NativeDraw | None:
    """The draw of any site of a head in C; None where the sites differ, or nobody wrote it.

    Example:
        >>> from ancestral.distributions import site_head
        >>> native_draw(site_head(Categorical((9,), num_levels=256), 9)).parameters
        (1, 256)
    """
    if not isinstance(head, UniformSites) or not isinstance(head.conditional, CellSite):
        return None
    return _of_cell(head.conditional.head, head.width)


@singledispatch
def _of_cell(head: CellHead, width: int) -> NativeDraw | None:
    del head, width
    return None


@_of_cell.register
def _(head: Bernoulli, width: int) -> NativeDraw | None:
    del head
    return NativeDraw(_BERNOULLI + _NAMED % "draw_bernoulli", (width,))


@_of_cell.register
def _(head: Categorical, width: int) -> NativeDraw | None:
    source = _CATEGORICAL + _NAMED % "draw_categorical"
    return NativeDraw(source, (width, head.num_levels))


@_of_cell.register
def _(head: DiscretizedLogistic, width: int) -> NativeDraw | None:
    if width > 1:
        return None
    source = _LOGISTIC + _NAMED % "draw_logistic"
    return NativeDraw(source, (width, head.num_levels, head.min_log_scale))


@_of_cell.register
def _(head: SiteMixture, width: int) -> NativeDraw | None:
    component = head.component
    small = width == 1 and head.num_components <= _MOST_COMPONENTS
    if not (small and isinstance(component, DiscretizedLogistic)):
        return None
    levels = (component.num_levels, component.min_log_scale)
    source = _MIXTURE + _NAMED % "draw_mixture"
    return NativeDraw(source, (width, *levels, head.num_components))
