"""Model and variants, or model and sequences, to numbers."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genolm.scoring.calibration import Calibration as Calibration
    from genolm.scoring.calibrator import calibrate as calibrate
    from genolm.scoring.variants import AlleleScore as AlleleScore
    from genolm.scoring.variants import score_variants as score_variants

__all__ = ["AlleleScore", "Calibration", "calibrate", "score_variants"]


def __getattr__(name: str) -> Any:
    """Import the engine, and torch with it, on first use."""
    if name not in __all__:
        raise AttributeError(f"module 'genolm.scoring' has no attribute {name!r}")
    from genolm.scoring import calibration, calibrator, variants

    modules = {"Calibration": calibration, "calibrate": calibrator}
    return getattr(modules.get(name, variants), name)
