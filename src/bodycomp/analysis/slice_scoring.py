"""The slice-selection network over a whole volume, or over some of its slices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bodycomp.analysis.network_input import (
    batches_of,
    input_batches,
    resolve_device,
)
from bodycomp.digests import SHORT
from bodycomp.errors import ModelError
from bodycomp.imaging.volume import Volume
from bodycomp.networks.checkpoint import Model
from bodycomp.networks.confidence_calibration import LevelCalibration
from bodycomp.networks.engine import make_engine
from bodycomp.networks.names import AUTO_ENGINE
from bodycomp.progress import Progress, no_progress

DECISIVE: Final = (0.1, 0.9)
"""Scores between these, within 2.2 scales of a level, decide which slice is chosen. bfloat16 moves
them by up to 0.005, a tenth of a millimetre or two, so that they are taken again in float32."""

DEFAULT_BATCH_SIZE: Final = 16

Batches = Iterator[tuple[list[int], Tensor]]
"""Slice indices and their network input, batch by batch."""


class NetworkSliceScorer:
    """Scores slices for every level of a slice-selection model.

    Raises:
        ModelError: The model does something else, or its card names no scale.
        UsageError: The device is not there, or the engine does not run this model on it.
    """

    def __init__(
        self,
        model: Model,
        *,
        device: str = "auto",
        batch_size: int = DEFAULT_BATCH_SIZE,
        engine: str = AUTO_ENGINE,
    ) -> None:
        card = model.card
        if card.task != "slice_selection" or not card.levels or card.target_scale_mm is None:
            raise ModelError(
                f"expected a slice-selection model with levels and a scale, found a {card.task} "
                f"model with levels {list(card.levels)} and scale {card.target_scale_mm} mm",
                hint="Is the segmentation model in the folder of the slice-selection model?",
            )
        self.card = card
        self.levels: tuple[str, ...] = card.levels
        self.scale_mm: float = card.target_scale_mm
        self.calibrations: Mapping[str, LevelCalibration] = (
            {} if card.confidence is None else card.confidence.levels
        )
        self.digest: str = model.digest[:SHORT]
        self._preprocessing = card.preprocessing
        self._engine = make_engine(model.network, resolve_device(device), engine)
        self.runs_as: str = f"{self._engine.name} on {self._engine.device.type}"
        self._batch_size = batch_size

    @torch.inference_mode()
    def __call__(
        self,
        volume: Volume,
        progress: Progress = no_progress,
        slice_indices: Sequence[int] | None = None,
    ) -> NDArray[np.float32]:
        """Return (slice, level) scores in 0..1 of the slices named, in their order; of all if None.

        Slices are prepared batch by batch. A slice's score does not depend on which others are
        asked for.
        """
        wanted = range(len(volume)) if slice_indices is None else slice_indices
        return self._score(
            lambda some: input_batches(volume, some, self._preprocessing, self._batch_size),
            wanted,
            progress,
        )

    @torch.inference_mode()
    def score_gray(
        self,
        read: Callable[[int], NDArray[np.uint8]],
        indices: Sequence[int],
        progress: Progress = no_progress,
    ) -> NDArray[np.float32]:
        """Return the same of windowed 8-bit images of any size, as training sets have."""
        return self._score(
            lambda some: batches_of(
                lambda index: self._preprocessing.from_gray(read(index)), some, self._batch_size
            ),
            indices,
            progress,
        )

    def _score(
        self,
        batches: Callable[[Sequence[int]], Batches],
        wanted: Sequence[int],
        progress: Progress,
    ) -> NDArray[np.float32]:
        scores = self._run(self._engine.run, batches(wanted), len(wanted), progress)
        if not self._engine.is_exact:
            low, high = DECISIVE
            decisive = np.flatnonzero(((scores > low) & (scores < high)).any(axis=1))
            again = [wanted[place] for place in decisive.tolist()]
            exactly = self._engine.run_exactly
            scores[decisive] = self._run(exactly, batches(again), len(again), no_progress)
        return scores

    def _run(
        self,
        run: Callable[[Tensor], Tensor],
        batches: Batches,
        count: int,
        progress: Progress,
    ) -> NDArray[np.float32]:
        scores = np.empty((count, len(self.levels)), dtype=np.float32)
        done = 0
        for indices, images in batches:
            logits = run(images.to(self._engine.device))
            scores[done : done + len(indices)] = torch.sigmoid(logits).cpu().numpy()
            done += len(indices)
            progress("score", done, count)
        return scores
