"""Pixels and millimetres: volumes, windows, resizing and the road to the network's input."""
