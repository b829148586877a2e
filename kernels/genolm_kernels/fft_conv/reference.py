"""Long causal convolution, as the equation says it.

    y_t = sum_{s=0}^{t} k_s u_{t-s} + d u_t,

by the convolution theorem on sequences padded with zeros so far that nothing wraps around.
Poli et al., "Hyena Hierarchy" (arXiv 2302.10866), section 3 and appendix C.
"""

import torch
from torch import Tensor


def reference(u: Tensor, k: Tensor, d: Tensor | None) -> Tensor:
    """Multiply the spectra; arguments as in `genolm_kernels.fft_conv`.

    Returns:
        y (batch, length, channels) in u's type, computed in float32 or, where u or k is, float64.
    """
    dtype = torch.promote_types(torch.promote_types(u.dtype, k.dtype), torch.float32)
    length = u.shape[1]
    inputs, filters = u.to(dtype).transpose(1, 2), k[:length].to(dtype).t()
    size = length + filters.shape[1]
    spectrum = torch.fft.rfft(inputs, n=size) * torch.fft.rfft(filters, n=size)
    y: Tensor = torch.fft.irfft(spectrum, n=size)[..., :length].transpose(1, 2)
    if d is not None:
        y = y + d.to(dtype) * u.to(dtype)
    return y.to(u.dtype)
