"""Training sets on disk: layout, reading, writing, caches, and how training sees them.

``datasets`` and ``augmentation`` import torch, nothing else does.
"""
