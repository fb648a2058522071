"""Compiled kernels for the CPU: C sources, built once with the system's compiler, then reused.

PyTorch's operators read and write every feature map once per operation, which is what most of a
training step on a CPU waits for. The kernels do several operations in one pass. Where no compiler
is found everything runs on PyTorch's operators alone, slower, with the same numbers up to rounding.
"""

from bodycomp.native.build import library

__all__ = ["library"]
