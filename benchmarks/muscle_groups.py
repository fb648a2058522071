"""``python -m benchmarks.muscle_groups``: what labeling muscle by group costs the three tissues.

Two networks train for the same number of steps on the same phantom slices about L3, one labeled for
muscle and the two fats, the other for groups of muscle, fat between muscles and vertebral bodies,
too. The table gives Dice over all pixels of test patients, of whom everything is known; muscle is
the sum of its groups. Slices and the loop are those of ``benchmarks.partial_labels``.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from benchmarks import partial_labels
from benchmarks.partial_labels import NETWORK, WAYS, evaluated, slices_of, trained
from bodycomp.anatomy import ABDOMINAL_TISSUES, ALL_TISSUES, PHANTOM_ANATOMIES
from bodycomp.imaging.label_map import folded

FULL = WAYS[0]


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--patients", type=int, nargs=2, default=(40, 12), metavar="N")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--side", type=int, default=partial_labels.SIDE)
    parser.add_argument("--anatomy", choices=PHANTOM_ANATOMIES, default="standard")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    partial_labels.SIDE = options.side
    train, test = options.patients
    known, unseen = (
        slices_of(patients, options.anatomy, ALL_TISSUES)
        for patients in (range(train), range(train, train + test))
    )
    keys = [tissue.key for tissue in ALL_TISSUES]
    print(f"{'Dice':8}", *(f"{key:>20}" for key in keys), "  CPU s")
    found: dict[int, list[list[float]]] = {}
    for seed in range(options.seeds):
        for tissues in (ABDOMINAL_TISSUES, ALL_TISSUES):
            began = time.process_time()
            images, masks, patients = known
            config = replace(NETWORK, num_classes=1 + len(tissues))
            labeled = images, folded(masks, tissues), patients
            network = trained(labeled, FULL, options.steps, seed, config)
            dice = evaluated(network, unseen, tissues)
            found.setdefault(len(tissues), []).append(dice)
            shown = (f"{value:20.4f}" for value in dice)
            pad = " " * 21 * (len(ALL_TISSUES) - len(tissues))
            seconds = time.process_time() - began
            print(f"seed {seed:<3}", *shown, f"{pad}{seconds:7.0f}", flush=True)
    few, many = (np.array(found[len(t)]) for t in (ABDOMINAL_TISSUES, ALL_TISSUES))
    costs = (many[:, : len(ABDOMINAL_TISSUES)] - few).mean(axis=0)
    print("change  ", *(f"{value:+20.4f}" for value in costs))


if __name__ == "__main__":
    main(sys.argv[1:])
