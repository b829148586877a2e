"""The compiled part of the `cpu` backends: one C library without a dependency, met by ctypes."""

from genolm_kernels.native.library import library, why_not

__all__ = ["library", "why_not"]
