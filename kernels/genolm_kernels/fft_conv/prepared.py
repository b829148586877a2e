"""The backward pass of convolutions with prepared filters, which need no gradient themselves."""

from typing import Any

from torch import Tensor


def register_prepared_gradients(convolve: Any) -> None:
    """Let an operator convolve the other way round for its gradients.

    Args:
        convolve: A custom operator on u, spectrum, d, gate_in, gate_out, reverse, size and layout.
    """

    def differentiate(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        u, spectrum, d, gate_in, gate_out = ctx.saved_tensors
        reverse, *order = ctx.rest
        # The adjoint of a convolution is the reversed one, and so the gates change places.
        du = convolve(dy, spectrum, d, gate_out, gate_in, not reverse, *order).to(u.dtype)
        d_in = d_out = dd = None
        if gate_in is not None:
            dv = convolve(dy, spectrum, d, gate_out, None, not reverse, *order)
            d_in = (dv * u).to(gate_in.dtype)
        if gate_out is not None:
            inner = convolve(u, spectrum, d, gate_in, None, reverse, *order)
            d_out = (inner * dy).to(gate_out.dtype)
        if d is not None:
            v, outer = (x if g is None else x * g for x, g in ((u, gate_in), (dy, gate_out)))
            dd = (v * outer).sum((0, 1)).to(d.dtype)
        return du, None, dd, d_in, d_out, None, None, None

    def keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        *tensors, ctx.rest = *inputs[:5], inputs[5:]
        ctx.save_for_backward(*tensors)

    convolve.register_autograd(differentiate, setup_context=keep)
