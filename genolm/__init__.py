"""genolm: DNA language models from FASTA to annotated VCF."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genolm.models.auto import load as load

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def __getattr__(name: str) -> Any:
    """Import ``genolm.load`` on first use, so that ``import genolm`` stays instant."""
    if name == "load":
        from genolm.models.auto import load

        return load
    raise AttributeError(f"module 'genolm' has no attribute {name!r}")
