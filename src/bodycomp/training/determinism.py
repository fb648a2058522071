"""The same numbers from the same seed on a GPU, as far as PyTorch can; a CPU gives them anyway."""

from __future__ import annotations

import os

import torch


def repeat_exactly() -> None:
    """Choose algorithms that give the same sums every time; for the rest of the process.

    To be called before the first work on a GPU. Where an operation has no such algorithm, PyTorch
    warns and uses the one it has.
    """
    # cuBLAS would otherwise split sums by whatever workspace is free; read at its first use.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
