"""The slice-selection network over a whole volume."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from bodycomp.analysis.network_input import (
    DIGEST_LENGTH,
    input_batches,
    ready_network,
    resolve_device,
)
from bodycomp.analysis.pipeline import SliceProgress, no_progress
from bodycomp.errors import ModelError
from bodycomp.imaging.volume import Volume
from bodycomp.networks.checkpoint import Model


class NetworkSliceScorer:
    """Scores every slice for every level of a slice-selection model.

    Args:
        model: The model; its network moves to the device.
        device: "auto", "cpu", "cuda" or "cuda:1".
        batch_size: Slices in memory at once as network input.

    Raises:
        ModelError: The model does something else, or its card names no scale.
        UsageError: The device is not there.
    """

    def __init__(self, model: Model, *, device: str = "auto", batch_size: int = 16) -> None:
        card = model.card
        if card.task != "slice_selection" or not card.levels or card.target_scale_mm is None:
            raise ModelError(
                f"expected a slice-selection model with levels and a scale, found a {card.task} "
                f"model with levels {list(card.levels)} and scale {card.target_scale_mm} mm",
                hint="Is the segmentation model in the folder of the slice-selection model?",
            )
        self.levels: tuple[str, ...] = card.levels
        self.scale_mm: float = card.target_scale_mm
        self.digest: str = model.digest[:DIGEST_LENGTH]
        self._preprocessing = card.preprocessing
        self._device = resolve_device(device)
        self._network = ready_network(model.network, self._device)
        self._batch_size = batch_size

    @torch.inference_mode()
    def __call__(
        self, volume: Volume, progress: SliceProgress = no_progress
    ) -> NDArray[np.float32]:
        """Return (slice, level) scores in 0..1; slices are prepared batch by batch."""
        scores = np.empty((len(volume), len(self.levels)), dtype=np.float32)
        batches = input_batches(volume, range(len(volume)), self._preprocessing, self._batch_size)
        for indices, images in batches:
            logits = self._network(images.to(self._device))
            scores[indices] = torch.sigmoid(logits.float()).cpu().numpy()
            progress("score", indices[-1] + 1, len(volume))
        return scores
