"""The compiled part of the `cpu` backends: one C library without a dependency, met by ctypes."""

from genolm_kernels.native.library import Native, describe, library, native, why_not

__all__ = ["Native", "describe", "library", "native", "why_not"]
