"""``python -m benchmarks.partial_labels``: what is lost where samples are labeled in part.

One network trains for the same number of steps on the same phantom slices about L3, labeled

- ``full``: for all tissues;
- ``half the tissues``: for muscle in one half of the patients, for the two fats in the other;
- ``half the slices``: in the upper half or the lower half of each slice;
- both once more, ``naive``: what nobody labeled is background.

Test patients are labeled for all tissues; the table gives Dice over all their pixels. Slices are
of 96 x 96 pixels in memory and the loop is a plain one, so that it all takes two or three minutes
of one core; losses, labels and counts are those of ``bodycomp train``.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from bodycomp.anatomy import (
    ABDOMINAL_TISSUES,
    MUSCLE,
    NOT_ANNOTATED_LABEL,
    SUBCUTANEOUS_FAT,
    VISCERAL_FAT,
    PhantomAnatomy,
    Tissue,
    background_or,
)
from bodycomp.data.augmentation import AugmentationOptions
from bodycomp.data.datasets import varied_input
from bodycomp.data.label_declaration import with_background
from bodycomp.imaging.preprocessing import SEGMENTATION_PREPROCESSING, Preprocessing
from bodycomp.networks.losses import segmentation_loss
from bodycomp.networks.patch_unet import PatchUNet, PatchUNetConfig
from bodycomp.phantom import Torso, sample_patient, sample_scan
from bodycomp.training.segmentation import count_pixels, dice

SIDE = 96
OFFSETS_MM = (-8.0, 8.0)
BATCH, RATE = 8, 3e-3
NETWORK = PatchUNetConfig(
    patch=2, compression_channels=(16, 32, 64, 128), decompression_channels=(64, 32, 16)
)
NO_FATS, NO_MUSCLE = background_or((SUBCUTANEOUS_FAT, VISCERAL_FAT)), background_or((MUSCLE,))

Slices = tuple[NDArray[np.int16], NDArray[np.uint8], NDArray[np.intp]]
"""(slice, row, column) HU and labels, and (slice,) the number of the patient."""


def half_the_tissues(mask: NDArray[np.uint8], patient: int, *, naive: bool) -> NDArray[np.uint8]:
    has_muscle = patient % 2 == 0
    kept = np.where((mask == MUSCLE.label) == has_muscle, mask, 0).astype(np.uint8)
    return kept if naive else with_background(kept, NO_FATS if has_muscle else NO_MUSCLE)


def half_the_slices(mask: NDArray[np.uint8], patient: int, *, naive: bool) -> NDArray[np.uint8]:
    kept, middle = mask.copy(), len(mask) // 2
    hidden = slice(0, middle) if patient % 2 else slice(middle, None)
    kept[hidden] = 0 if naive else NOT_ANNOTATED_LABEL
    return kept


@dataclass(frozen=True)
class Way:
    """How slices are labeled, by their mask and the number of their patient."""

    name: str
    change: Callable[[NDArray[np.uint8], int], NDArray[np.uint8]]
    marginal: bool = False


WAYS = (
    Way("full", lambda mask, _: mask),
    Way("half the tissues", lambda m, n: half_the_tissues(m, n, naive=False), marginal=True),
    Way("half the tissues, naive", lambda m, n: half_the_tissues(m, n, naive=True)),
    Way("half the slices", lambda m, n: half_the_slices(m, n, naive=False)),
    Way("half the slices, naive", lambda m, n: half_the_slices(m, n, naive=True)),
)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--patients", type=int, nargs=2, default=(40, 12), metavar="N")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", metavar="WAY", default=[way.name for way in WAYS])
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    train, test = options.patients
    known, unseen = slices_of(range(train)), slices_of(range(train, train + test))
    keys = [tissue.key for tissue in ABDOMINAL_TISSUES]
    print(f"{'Dice of test patients':26}{'mean':>8}", *(f"{key:>17}" for key in keys), "  CPU s")
    for way in (way for way in WAYS if way.name in options.only):
        began = time.process_time()
        network = trained(known, way, options.steps, options.seed)
        seconds = time.process_time() - began
        found = evaluated(network, unseen)
        shown = (f"{value:17.4f}" for value in found)
        print(f"{way.name:26}{np.mean(found):8.4f}", *shown, f"{seconds:7.0f}", flush=True)


def slices_of(
    patients: range,
    anatomy: PhantomAnatomy = "standard",
    tissues: Sequence[Tissue] = ABDOMINAL_TISSUES,
) -> Slices:
    """Render two slices of every patient, labeled for some tissues."""
    images, masks = [], []
    for patient in patients:
        torso = Torso(sample_patient(7, patient, anatomy))
        scan = sample_scan(torso.patient)
        spacing_mm = scan.pixel_spacing_mm * scan.matrix[0] / SIDE
        scan = replace(scan, matrix=(SIDE, SIDE), pixel_spacing_mm=spacing_mm)
        for offset_mm in OFFSETS_MM:
            z_mm = torso.level_z_mm["L3"] + offset_mm
            hu, labels = torso.render_slice(scan, z_mm, tissues)
            images.append(hu)
            masks.append(labels)
    numbers = np.repeat(np.array(patients), len(OFFSETS_MM))
    return np.stack(images), np.stack(masks), numbers


def preprocessing() -> Preprocessing:
    return replace(SEGMENTATION_PREPROCESSING, size=(SIDE, SIDE))


def trained(
    slices: Slices, way: Way, steps: int, seed: int, config: PatchUNetConfig = NETWORK
) -> torch.nn.Module:
    hu, masks, patients = slices
    given = np.stack([way.change(m, n) for m, n in zip(masks, patients.tolist(), strict=True)])
    images, truth = torch.from_numpy(hu)[:, None], torch.from_numpy(given)
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    network, loss = PatchUNet(config), segmentation_loss(marginal=way.marginal)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 0.1  # Keras's 0.01 is for longer trainings
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    options = AugmentationOptions()
    for _ in range(steps):
        chosen = torch.randperm(len(images), generator=generator)[:BATCH]
        batch = varied_input(
            (images[chosen], truth[chosen]), generator, options, preprocessing(), has_masks=True
        )
        optimizer.zero_grad()
        torch.autograd.backward(loss(network(batch[0]), batch[1]))
        optimizer.step()
        schedule.step()
    return network.eval()


@torch.no_grad()
def evaluated(
    network: torch.nn.Module, slices: Slices, tissues: Sequence[Tissue] = ABDOMINAL_TISSUES
) -> list[float]:
    """Return the Dice of each tissue over all pixels."""
    hu, masks, _ = slices
    counts = torch.zeros(len(tissues), 3, dtype=torch.float64)
    for image, mask in zip(hu, masks, strict=True):
        seen = torch.from_numpy(preprocessing().from_hu(image))[None, None]
        labels = network(seen).argmax(dim=1)
        counts += count_pixels(labels, torch.from_numpy(mask)[None], tuple(tissues))[0]
    return [float(value) for value in dice(counts)]


if __name__ == "__main__":
    main(sys.argv[1:])
