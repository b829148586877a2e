"""The operators of DNA models, each with a reference and faster backends; needs torch alone.

`selective_scan`, `causal_conv1d` and `fft_conv` take and return channels-last tensors
(batch, length, channels) and choose their backend themselves; `backends()` says what runs here.
"""

from genolm_kernels._backend import describe, use_backend
from genolm_kernels.add_norm import BACKENDS as _ADD_NORM_BACKENDS
from genolm_kernels.add_norm import add_norm
from genolm_kernels.bidirectional_scan import BACKENDS as _BIDIRECTIONAL_BACKENDS
from genolm_kernels.bidirectional_scan import ScanInputs, bidirectional_scan
from genolm_kernels.causal_conv1d import BACKENDS as _CONV_BACKENDS
from genolm_kernels.causal_conv1d import causal_conv1d
from genolm_kernels.causal_conv1d_step import BACKENDS as _CONV_STEP_BACKENDS
from genolm_kernels.causal_conv1d_step import causal_conv1d_step
from genolm_kernels.fft_conv import BACKENDS as _FFT_BACKENDS
from genolm_kernels.fft_conv import FilterSpectrum, fft_conv, prepare_filter
from genolm_kernels.gated_short_conv import BACKENDS as _GATED_CONV_BACKENDS
from genolm_kernels.gated_short_conv import gated_short_conv
from genolm_kernels.selective_scan import BACKENDS as _SCAN_BACKENDS
from genolm_kernels.selective_scan import selective_scan
from genolm_kernels.selective_scan_step import BACKENDS as _SCAN_STEP_BACKENDS
from genolm_kernels.selective_scan_step import selective_scan_step
from genolm_kernels.ssd import BACKENDS as _SSD_BACKENDS
from genolm_kernels.ssd import ssd
from genolm_kernels.ssd_step import BACKENDS as _SSD_STEP_BACKENDS
from genolm_kernels.ssd_step import ssd_step

__all__ = [
    "FilterSpectrum",
    "ScanInputs",
    "add_norm",
    "backends",
    "bidirectional_scan",
    "causal_conv1d",
    "causal_conv1d_step",
    "fft_conv",
    "gated_short_conv",
    "prepare_filter",
    "selective_scan",
    "selective_scan_step",
    "ssd",
    "ssd_step",
    "use_backend",
]


def backends() -> dict[str, dict[str, str]]:
    """Operator to backend name to "runs here", or to the reason why it does not."""
    return {
        "selective_scan": describe(_SCAN_BACKENDS),
        "bidirectional_scan": describe(_BIDIRECTIONAL_BACKENDS),
        "causal_conv1d": describe(_CONV_BACKENDS),
        "causal_conv1d_step": describe(_CONV_STEP_BACKENDS),
        "selective_scan_step": describe(_SCAN_STEP_BACKENDS),
        "gated_short_conv": describe(_GATED_CONV_BACKENDS),
        "add_norm": describe(_ADD_NORM_BACKENDS),
        "fft_conv": describe(_FFT_BACKENDS),
        "ssd": describe(_SSD_BACKENDS),
        "ssd_step": describe(_SSD_STEP_BACKENDS),
    }
