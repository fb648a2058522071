"""``python -m default_models OUT``: make the models that ship."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

from bodycomp.networks.shipped import DEFAULT_MODELS, shipped_room
from default_models.recipe import Recipe


def main() -> None:
    """Do what is left to do, and say how long each step took."""
    parser = argparse.ArgumentParser(prog="python -m default_models", description=__doc__)
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for sets, runs and models")
    parser.add_argument("--small", action="store_true", help="a few patients and steps: a trial")
    parser.add_argument("--install", action="store_true", help="put the models into the package")
    arguments = parser.parse_args()
    small = {
        "patients": 4, "val_patients": 1, "test_patients": 2, "epochs": 1,
        "level_patients": 4, "level_series": 2, "level_epochs": 1,
    }  # fmt: skip
    recipe = Recipe(arguments.out, **(small if arguments.small else {}))
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
