"""What this machine's processor is and which instruction sets it has."""

import functools
import platform
from collections.abc import Iterable
from pathlib import Path

import torch

# The flags of Linux by which a processor and its system are known to run each level of x86-64.
_V2 = {"cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"}
_V3 = _V2 | {"abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "xsave"}
_V4 = _V3 | {"avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"}
NEEDED = {"x86-64-v2": _V2, "x86-64-v3": _V3, "x86-64-v4": _V4}

# Torch's own names, where the system has no list of flags.
_KNOWN_TO_TORCH = {
    "AVX512": {"x86-64-v2", "x86-64-v3", "x86-64-v4"},
    "AVX2": {"x86-64-v2", "x86-64-v3"},
}
_IDENTITY = (
    *("vendor_id", "cpu family", "model", "model name", "flags"),
    *("CPU implementer", "CPU part", "Features"),
)


@functools.cache
def _cpuinfo() -> dict[str, str]:
    """The first processor's lines of /proc/cpuinfo; empty where there is no such file."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    lines = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in lines}


def missing(processor: str) -> str | None:
    """What this machine lacks to run code for a processor, or None if it runs it.

    Args:
        processor: A level such as "x86-64-v3"; other names are taken to run.
    """
    flags = _cpuinfo().get("flags")
    if processor not in NEEDED:
        return None
    if flags is not None:
        lacking = sorted(NEEDED[processor] - set(flags.split()))
        return f"this processor has no {' '.join(lacking)}" if lacking else None
    capability = torch.backends.cpu.get_cpu_capability()
    if processor == "x86-64-v2" or processor in _KNOWN_TO_TORCH.get(capability, ()):
        return None
    return f"this processor has {capability} at best"


def runnable(processors: Iterable[str]) -> list[str]:
    """Those of the processors whose code runs here, in the same order."""
    return [name for name in processors if missing(name) is None]


def identity() -> str:
    """Everything by which code compiled for this very processor might differ from another's."""
    found = _cpuinfo()
    known = [f"{key}={found[key]}" for key in _IDENTITY if key in found]
    return "\n".join([platform.system(), platform.machine(), platform.processor(), *known])


def model_name() -> str:
    """What a user calls this processor, as far as the system tells."""
    return _cpuinfo().get("model name") or platform.processor() or platform.machine()
