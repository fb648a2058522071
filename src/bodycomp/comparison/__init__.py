"""Scans of one person beside each other: what changed, and how much of that could be noise."""
