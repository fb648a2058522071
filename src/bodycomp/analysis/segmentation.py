"""The segmentation network on chosen slices; masks leave on the source pixel grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from bodycomp.analysis.network_input import (
    input_batches,
    resolve_device,
)
from bodycomp.anatomy import Tissue
from bodycomp.digests import SHORT
from bodycomp.errors import ModelError
from bodycomp.imaging.resize import resize_image
from bodycomp.imaging.square_field import SquareField
from bodycomp.imaging.volume import Volume
from bodycomp.networks.checkpoint import Model
from bodycomp.networks.engine import make_engine
from bodycomp.networks.names import AUTO_ENGINE
from bodycomp.progress import Progress, no_progress


class NetworkSegmenter:
    """Labels muscle and fat with a segmentation model.

    Raises:
        ModelError: The model does something else, or its card names no tissues.
        UsageError: The device is not there, or the engine does not run this model on it.
    """

    def __init__(
        self,
        model: Model,
        *,
        device: str = "auto",
        batch_size: int = 4,
        engine: str = AUTO_ENGINE,
    ) -> None:
        card = model.card
        if card.task != "segmentation" or not card.tissues:
            raise ModelError(
                f"expected a segmentation model with tissues, found a {card.task} model with "
                f"{len(card.tissues)} tissues",
                hint="Is the slice-selection model in the folder of the segmentation model?",
            )
        self.card = card
        self.tissues: tuple[Tissue, ...] = card.tissues
        self.digest: str = model.digest[:SHORT]
        self._preprocessing = card.preprocessing
        self._engine = make_engine(model.network, resolve_device(device), engine)
        self.runs_as: str = f"{self._engine.name} on {self._engine.device.type}"
        self._batch_size = batch_size

    @torch.inference_mode()
    def __call__(
        self, volume: Volume, slice_indices: Sequence[int], progress: Progress = no_progress
    ) -> dict[int, NDArray[np.uint8]]:
        """Return slice index -> (row, column) labels on the source grid.

        Raises:
            ModelError: The network gave something other than numbers.
            ImageError: The slices have no ``SquareField``.
        """
        field = SquareField.of_volume(volume)
        masks: dict[int, NDArray[np.uint8]] = {}
        batches = input_batches(volume, slice_indices, self._preprocessing, self._batch_size)
        for indices, images in batches:
            logits = self._engine.run(images.to(self._engine.device))
            if not bool(torch.isfinite(logits).all()):
                raise ModelError(
                    "the segmentation network gave values that are not numbers",
                    hint="The weights are damaged or the training diverged; use another model.",
                )
            probabilities = torch.softmax(logits, dim=1).cpu().numpy()  # (batch, class, H, W)
            for index, classes in zip(indices, probabilities, strict=True):
                labels = labels_at_size(classes, field.shape)
                masks[index] = np.ascontiguousarray(field.undo(labels))
            progress("segment", len(masks), len(slice_indices))
        return masks


def labels_at_size(probabilities: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the most probable label of each pixel at ``size``.

    Probabilities are resized before the decision, so that borders do not follow the pixels of the
    network's grid; a thin layer between two others is not lost as it is with nearest neighbour.

    ``probabilities`` are (class, row, column); class 0 is background.
    """
    if probabilities.shape[1:] != size:
        probabilities = np.stack([resize_image(each, size) for each in probabilities])
    labels: NDArray[np.uint8] = np.argmax(probabilities, axis=0).astype(np.uint8)
    return labels
