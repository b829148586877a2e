"""Long causal convolution, as the equation says it.

    v_t = u_t a_t,      y_t = (sum_{s=0}^{t} k_s v_{t-s} + d v_t) b_t

with the gates a and b, by the convolution theorem on sequences padded with zeros so far that
nothing wraps around; reversed, v_{t+s} stands for v_{t-s}, and the filter's spectrum is conjugate.
Poli et al., "Hyena Hierarchy" (arXiv 2302.10866), section 3 and appendix C.
"""

import torch
from torch import Tensor

from genolm_kernels.fft_conv.spectrum import FilterSpectrum, compute_dtype


def reference(
    u: Tensor,
    k: Tensor | FilterSpectrum,
    d: Tensor | None,
    gate_in: Tensor | None,
    gate_out: Tensor | None,
    reverse: bool,
) -> Tensor:
    """Multiply the spectra; arguments as in `genolm_kernels.fft_conv`.

    Returns:
        y (batch, length, channels) in u's type, computed in float32 or, where u or k is, float64.
    """
    dtype, length = compute_dtype(u, k), u.shape[1]
    v = u.to(dtype) if gate_in is None else u.to(dtype) * gate_in.to(dtype)
    if isinstance(k, FilterSpectrum):
        size, filters = k.size, k.values
    else:
        taps = k[:length].to(dtype).t()
        size = length + taps.shape[1]
        filters = torch.fft.rfft(taps, n=size)
    if reverse:
        filters = filters.conj()
    # Transforms refuse a batch of none: a sequence of zeros joins it for the while.
    whole = v if len(v) else torch.cat([v, v.new_zeros(1, *v.shape[1:])])
    spectrum = torch.fft.rfft(whole.transpose(1, 2), n=size) * filters
    y: Tensor = torch.fft.irfft(spectrum, n=size)[: len(v), :, :length].transpose(1, 2)
    if d is not None:
        y = y + d.to(dtype) * v
    if gate_out is not None:
        y = y * gate_out.to(dtype)
    return y.to(u.dtype)
