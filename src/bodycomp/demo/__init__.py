"""The whole road on synthetic patients: cohort, both trainings, analysis, comparison."""

from bodycomp.demo.options import DemoOptions
from bodycomp.demo.run import run_demo

__all__ = ["DemoOptions", "run_demo"]
