"""The two networks, their losses and targets, and the files that carry them.

Nothing is imported here, so that ``networks.names`` and ``networks.targets`` stay free of torch.
"""
