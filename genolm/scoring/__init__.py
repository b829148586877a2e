"""Model and variants, or model and sequences, to numbers."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genolm.scoring.variants import AlleleScore as AlleleScore
    from genolm.scoring.variants import score_variants as score_variants

__all__ = ["AlleleScore", "score_variants"]


def __getattr__(name: str) -> Any:
    """Import the engine, and torch with it, on first use."""
    if name in __all__:
        from genolm.scoring import variants

        return getattr(variants, name)
    raise AttributeError(f"module 'genolm.scoring' has no attribute {name!r}")
