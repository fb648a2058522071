"""Training of both networks; the room of the loop.

``options`` is light enough for the command line; ``fit`` loads torch.
"""
