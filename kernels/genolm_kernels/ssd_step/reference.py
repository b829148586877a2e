"""One position of state-space duality, as the equation says it.

    h_t = exp(dt_t A) h_{t-1} + dt_t x_t B_tᵀ        y_t = (h_t C_t + D x_t) * silu(z_t)

with dt = softplus(dt + dt_bias) or dt + dt_bias: `ssd` over a sequence of length 1 that begins in
h_{t-1}.
"""

from torch import Tensor

from genolm_kernels.ssd.reference import reference as ssd


def reference(
    state: Tensor,
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    dt_bias: Tensor | None,
    dt_softplus: bool,
) -> tuple[Tensor, Tensor]:
    """Take one step; arguments as in `genolm_kernels.ssd_step`.

    Returns:
        y (batch, heads, headdim) in x's type, and the new state (batch, heads, headdim, d_state)
        in float32, or float64 where any input is.
    """
    y, new_state = ssd(
        x[:, None],
        dt[:, None],
        A,
        B[:, None],
        C[:, None],
        D,
        None if z is None else z[:, None],
        dt_bias,
        state,
        dt_softplus,
        1,
        False,
    )
    return y[:, 0], new_state
