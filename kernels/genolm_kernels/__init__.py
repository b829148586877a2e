"""The operators of DNA models, each with a reference and faster backends; needs torch alone.

`selective_scan`, `causal_conv1d` and `fft_conv` take and return channels-last tensors
(batch, length, channels) and choose their backend themselves; `backends()` says what runs here.
"""

from genolm_kernels._backend import describe, use_backend
from genolm_kernels.causal_conv1d import BACKENDS as _CONV_BACKENDS
from genolm_kernels.causal_conv1d import causal_conv1d
from genolm_kernels.fft_conv import BACKENDS as _FFT_BACKENDS
from genolm_kernels.fft_conv import fft_conv
from genolm_kernels.selective_scan import BACKENDS as _SCAN_BACKENDS
from genolm_kernels.selective_scan import selective_scan

__all__ = ["backends", "causal_conv1d", "fft_conv", "selective_scan", "use_backend"]


def backends() -> dict[str, dict[str, str]]:
    """Operator to backend name to "runs here", or to the reason why it does not."""
    return {
        "selective_scan": describe(_SCAN_BACKENDS),
        "causal_conv1d": describe(_CONV_BACKENDS),
        "fft_conv": describe(_FFT_BACKENDS),
    }
