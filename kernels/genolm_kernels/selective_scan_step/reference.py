"""One position of a selective scan, as the equation says it.

    h_t = exp(dt_t A) * h_{t-1} + dt_t B_t u_t        y_t = (<C_t, h_t> + D u_t) * silu(z_t)

with dt = softplus(delta + delta_bias) or delta + delta_bias: `selective_scan` over a sequence of
length 1 that begins in h_{t-1}.
"""

from torch import Tensor

from genolm_kernels.selective_scan.reference import reference as selective_scan


def reference(
    state: Tensor,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
) -> tuple[Tensor, Tensor]:
    """Take one step; B and C are (batch, groups, d_state).

    Other arguments as in `genolm_kernels.selective_scan_step`.

    Returns:
        y (batch, d_inner) in u's type, and the new state (batch, d_inner, d_state) in float32, or
        float64 where any input is.
    """
    y, new_state = selective_scan(
        u[:, None],
        delta[:, None],
        A,
        B[:, None],
        C[:, None],
        D,
        None if z is None else z[:, None],
        delta_bias,
        state,
        delta_softplus,
        False,
    )
    return y[:, 0], new_state
