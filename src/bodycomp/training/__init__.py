"""Training of both networks; the only room that uses PyTorch Lightning.

``options`` is light enough for the command line; ``fit`` loads torch and Lightning.
"""
