"""Compiled kernels for the CPU: a dense block's training step in few passes over memory.

PyTorch's operators read and write every feature map once per operation. The kernels do several
operations in one pass, sixteen values at a time: they need an x86-64 processor with AVX-512 and a
gcc, which compiles them once. Elsewhere PyTorch's operators do the work, with the same numbers up
to rounding. ``networks.fast`` applies them.
"""

from bodycomp.kernels.build import library
from bodycomp.kernels.dense import DenseLayerParts, dense_block, kernels_serve, like_image, rows_of

__all__ = ["DenseLayerParts", "dense_block", "kernels_serve", "library", "like_image", "rows_of"]
