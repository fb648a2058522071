"""What the CPU is good at."""

from __future__ import annotations

import torch


def cpu_has_bfloat16() -> bool:
    """Return whether the CPU multiplies bfloat16 faster than float32 (AVX512-BF16 or AMX)."""
    ask = getattr(torch.cpu, "get_capabilities", None)  # older releases lack it
    capabilities: dict[str, object] = {} if ask is None else ask()
    return any(bool(capabilities.get(name)) for name in ("avx512_bf16", "amx_bf16"))
