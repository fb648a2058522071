"""Scans and what people drew or marked on them, in every format that annotation tools write.

Files in, arrays on the scan's own pixel grid out: geometry comes from the headers, and what does
not lie on the scan is refused with both frames printed.
"""
