"""Training sets on disk: layout, reading, writing, caches, and how training sees them.

``datasets``, ``batches`` and ``augmentation`` import torch, nothing else does.
"""
