"""``python -m default_models OUT``: make the models that ship."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path

from bodycomp.networks.shipped import DEFAULT_MODELS, shipped_room
from default_models.recipe import Recipe

SMALL = (4, 1, 2, 1, 4, 2, 2, 1)
"""Patients, series and epochs of a trial, in the order of ``Recipe``."""


def main() -> None:
    """Do what is left to do, and say how long each step took."""
    parser = argparse.ArgumentParser(prog="python -m default_models", description=__doc__)
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for sets, runs and models")
    parser.add_argument(
        "--real", type=Path, metavar="DIR", help="the scans that default_models/outlines lists"
    )
    parser.add_argument(
        "--groups", action="store_true", help="a model that labels groups of muscle, too"
    )
    parser.add_argument("--small", action="store_true", help="a few patients and steps: a trial")
    parser.add_argument("--install", action="store_true", help="put the models into the package")
    arguments = parser.parse_args()
    sizes = SMALL if arguments.small else ()
    recipe = replace(Recipe(arguments.out, arguments.real, *sizes), groups=arguments.groups)
    for what, work in recipe.steps():
        began = time.monotonic()
        work()
        sys.stdout.write(f"{what}: {(time.monotonic() - began) / 60:.1f} min\n")
    if arguments.install:
        target = shipped_room() / DEFAULT_MODELS
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(recipe.models, target)


if __name__ == "__main__":
    main()
