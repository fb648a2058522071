"""A network that sees a whole series at once, as a scorer of its slices."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from bodycomp.analysis.inference import NetworkSliceScorer
from bodycomp.imaging.projection import at_heights, bone_share, project, row_heights
from bodycomp.imaging.square_field import SquareField
from bodycomp.imaging.volume import Volume
from bodycomp.networks.checkpoint import Model
from bodycomp.networks.ensemble import sees_series
from bodycomp.networks.names import AUTO_ENGINE
from bodycomp.progress import Progress, no_progress


class SeriesScorer(NetworkSliceScorer):
    """Scores slices by the projections of their series; see ``imaging.projection``."""

    sees_series = True

    @torch.inference_mode()
    def score_members(
        self,
        volume: Volume,
        progress: Progress = no_progress,
        slice_indices: Sequence[int] | None = None,
    ) -> NDArray[np.float32]:
        """Return (1 + member, slice, level) scores in 0..1 of the slices named; of all if None.

        However many are asked for, the network sees the series from end to end.
        """
        field = SquareField.of_volume(volume)
        wanted = range(len(volume)) if slice_indices is None else slice_indices
        return self._score_series(
            lambda index: self._preprocessing.from_hu(field.apply(volume.hu[index])),
            np.asarray(volume.slice_z_mm, dtype=np.float64),
            progress,
        )[:, list(wanted)]

    @torch.inference_mode()
    def score_gray(
        self,
        read: Callable[[int], NDArray[np.uint8]],
        z_mm: NDArray[np.float64],
        indices: Sequence[int],
        progress: Progress = no_progress,
    ) -> NDArray[np.float32]:
        """Return the same of windowed 8-bit images of any size, as training sets have."""
        scores = self._score_series(
            lambda index: self._preprocessing.from_gray(read(index)), z_mm, progress
        )
        return scores[0, list(indices)]

    def _score_series(
        self,
        image: Callable[[int], NDArray[np.float32]],
        z_mm: NDArray[np.float64],
        progress: Progress,
    ) -> NDArray[np.float32]:
        """Return (1 + member, slice, level) scores of all slices; of one network (1, ...)."""
        white, window = np.float32(self._preprocessing.input_max), self._preprocessing.window

        def bones(index: int) -> NDArray[np.float32]:
            progress("score", index, len(z_mm))
            return bone_share(image(index) / white, window)

        rows = torch.from_numpy(project(bones, z_mm))[None]
        placed = rows.to(self._engine.device)
        logits = [member(placed) for member in self._engine.members]
        together = [self._engine.combine(logits), *(logits if self.members > 1 else ())]
        progress("score", len(z_mm), len(z_mm))
        heights = row_heights(z_mm)
        values = np.stack([at_heights(each[0].cpu().numpy(), heights, z_mm) for each in together])
        return np.asarray(1 / (1 + np.exp(-values)), dtype=np.float32)


def slice_scorer(
    model: Model, *, device: str = "auto", engine: str = AUTO_ENGINE
) -> NetworkSliceScorer:
    """Return the scorer that runs a slice-selection model, by its architecture.

    Raises:
        ModelError, UsageError: As ``NetworkSliceScorer``.
    """
    kind = SeriesScorer if sees_series(model.card) else NetworkSliceScorer
    return kind(model, device=device, engine=engine)
