"""Training sets on disk: their layout, what is wrong with them, and how training reads them.

``layout``, ``validate`` and ``augmentation_options`` import no torch.
"""
