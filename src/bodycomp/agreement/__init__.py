"""How well what was found agrees with what is true: masks, paired values, positions, intervals.

Arrays in, frozen values out; no files, no networks. What is undefined is a ``results.Quantity``
without a value and with a reason, never 0 and never NaN.
"""
