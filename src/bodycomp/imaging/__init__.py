"""Pixels and millimetres: volumes, windows, resizing and the pipeline to the network's input."""
