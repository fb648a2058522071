"""The trained networks on slices of a volume: scores of levels, masks on the source pixel grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bodycomp.analysis.labels_at_size import labels_at_size
from bodycomp.anatomy import Tissue
from bodycomp.digests import SHORT
from bodycomp.errors import ModelError, UsageError
from bodycomp.imaging.square_field import SquareField
from bodycomp.imaging.volume import Volume
from bodycomp.networks.checkpoint import Model
from bodycomp.networks.confidence_calibration import LevelCalibration
from bodycomp.networks.engine import make_engine
from bodycomp.networks.names import AUTO_ENGINE
from bodycomp.progress import Progress, no_progress


def batches_of(
    image: Callable[[int], NDArray[np.float32]], indices: Sequence[int], batch_size: int
) -> Iterator[tuple[list[int], Tensor]]:
    """Yield indices and their (batch, 1, row, column) input, made when it is asked for."""
    for start in range(0, len(indices), batch_size):
        some = list(indices[start : start + batch_size])
        yield some, torch.from_numpy(np.stack([image(index) for index in some])[:, None])


def resolve_device(name: str) -> torch.device:
    """Return the device of that name; ``auto`` takes a GPU if there is one.

    Raises:
        UsageError: The name is unknown or the device is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"unknown device {name!r}", hint="Use auto, cpu or cuda.") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"device {name} is not there: {torch.cuda.device_count()} GPUs are visible",
            hint="Use --device cpu, or auto to take a GPU only if there is one.",
        )
    if device.type not in {"cpu", "cuda", "mps"}:
        raise UsageError(f"device {name} cannot run the networks", hint="Use auto, cpu or cuda.")
    return device


class _LoadedNetwork:
    """A network on its device, with what results say of it."""

    def __init__(self, model: Model, device: str, batch_size: int, engine: str) -> None:
        self.card = model.card
        self.digest: str = model.digest[:SHORT]
        self.caution: str = model.card.description.words.caution
        self._preprocessing = model.card.preprocessing
        self._engine = make_engine(model.network, resolve_device(device), engine)
        self.runs_as: str = f"{self._engine.name} on {self._engine.device.type}"
        self._batch_size = batch_size

    @property
    def members(self) -> int:
        """How many networks the model is made of."""
        return len(self._engine.members)


class SegmentedSlices(dict[int, NDArray[np.uint8]]):
    """Slice index -> (row, column) labels on the source grid.

    Attributes:
        members: Slice index -> (member, row, column) labels of each network of an ensemble; empty
            of a single network.
    """

    def __init__(self) -> None:
        super().__init__()
        self.members: dict[int, NDArray[np.uint8]] = {}


class NetworkSegmenter(_LoadedNetwork):
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
        self.tissues: tuple[Tissue, ...] = card.tissues
        classes = {0, *(tissue.label for tissue in card.tissues)}
        self._unused = [label for label in range(card.num_outputs) if label not in classes]
        self.area_intervals = card.area_intervals
        super().__init__(model, device, batch_size, engine)

    @torch.inference_mode()
    def __call__(
        self, volume: Volume, slice_indices: Sequence[int], progress: Progress = no_progress
    ) -> SegmentedSlices:
        """Return the labels of slices, which are read and prepared once for all members.

        A ModelError says that the network gave something other than numbers.
        """
        field = SquareField.of_volume(volume)
        masks = SegmentedSlices()

        def image(index: int) -> NDArray[np.float32]:
            return self._preprocessing.from_hu(field.apply(volume.hu[index]))

        for indices, images in batches_of(image, slice_indices, self._batch_size):
            found = self._probabilities(images.to(self._engine.device))
            together = found if len(found) == 1 else (found.mean(dim=0), *found)
            for place, index in enumerate(indices):
                hu = field.apply(volume.hu[index]) if self.card.hu_ranges else None
                own = [
                    labels_at_size(member[place].cpu().numpy(), field.shape, hu, self.tissues)
                    for member in together
                ]
                masks[index], *members = (np.ascontiguousarray(field.undo(each)) for each in own)
                if members:
                    masks.members[index] = np.stack(members)
            progress("segment", len(masks), len(slice_indices))
        return masks

    def _probabilities(self, images: Tensor) -> Tensor:
        """Return (member, batch, class, H, W), averaged over the copies of the card."""
        return torch.stack([self._of_member(run, images) for run in self._engine.members])

    def _of_member(self, run: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
        total: Tensor | None = None
        for copy in range(self.card.copies):
            away = copy * COPY_PIXELS
            logits = run(torch.roll(images, (away, away), (2, 3)))
            if not bool(torch.isfinite(logits).all()):
                raise ModelError(
                    "the segmentation network gave values that are not numbers",
                    hint="The weights are damaged or the training diverged; use another model.",
                )
            if self._unused:  # of a model of fats alone: nobody taught it what muscle is
                unused = torch.tensor(self._unused, device=logits.device)
                logits = logits.index_fill(1, unused, -torch.inf)
            found = torch.roll(torch.softmax(logits, dim=1), (-away, -away), (2, 3))
            total = found if total is None else total + found
        assert total is not None
        return total / self.card.copies if self.card.copies > 1 else total


COPY_PIXELS: Final = 2
"""How far a copy of a slice is moved down and to the right of the one before."""


DECISIVE: Final = (0.1, 0.9)
"""Scores between these, within 2.2 scales of a level, decide which slice is chosen. bfloat16 moves
them by up to 0.005, a tenth of a millimetre or two, so that they are taken again in float32."""

DEFAULT_BATCH_SIZE: Final = 16


ImageOf = Callable[[int], NDArray[np.float32]]
"""Slice index -> (row, column) network input."""


class NetworkSliceScorer(_LoadedNetwork):
    """Scores slices for every level of a slice-selection model, each by itself.

    Raises:
        ModelError: The model does something else, or its card names no scale.
        UsageError: The device is not there, or the engine does not run this model on it.
    """

    sees_series = False

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
        self.levels: tuple[str, ...] = card.levels
        self.scale_mm: float = card.target_scale_mm
        self.least_confidence: float = card.least_confidence
        self.calibrations: Mapping[str, LevelCalibration] = (
            {} if card.confidence is None else card.confidence.levels
        )
        super().__init__(model, device, batch_size, engine)

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
        scores: NDArray[np.float32] = self.score_members(volume, progress, slice_indices)[0]
        return scores

    @torch.inference_mode()
    def score_members(
        self,
        volume: Volume,
        progress: Progress = no_progress,
        slice_indices: Sequence[int] | None = None,
    ) -> NDArray[np.float32]:
        """Return (1 + member, slice, level): the same, and behind it each member's of an ensemble.

        Slices are read and prepared once for all members.
        """
        field = SquareField.of_volume(volume)
        return self._score(
            lambda index: self._preprocessing.from_hu(field.apply(volume.hu[index])),
            range(len(volume)) if slice_indices is None else slice_indices,
            progress,
        )

    @torch.inference_mode()
    def score_gray(
        self,
        read: Callable[[int], NDArray[np.uint8]],
        z_mm: NDArray[np.float64],
        indices: Sequence[int],
        progress: Progress = no_progress,
    ) -> NDArray[np.float32]:
        """Return the same of windowed 8-bit images of any size, as training sets have.

        ``z_mm`` (slice,) are the ascending positions of all slices that ``read`` knows.
        """
        del z_mm
        scores: NDArray[np.float32] = self._score(
            lambda index: self._preprocessing.from_gray(read(index)), indices, progress
        )[0]
        return scores

    def _score(
        self, image_of: ImageOf, wanted: Sequence[int], progress: Progress
    ) -> NDArray[np.float32]:
        engine = self._engine
        scores = self._run(engine.members, image_of, wanted, progress)
        if not engine.is_exact:
            low, high = DECISIVE
            decisive = np.flatnonzero(((scores[0] > low) & (scores[0] < high)).any(axis=1))
            again = [wanted[place] for place in decisive.tolist()]
            scores[:, decisive] = self._run(engine.exact_members, image_of, again, no_progress)
        return scores

    def _run(
        self,
        members: Sequence[Callable[[Tensor], Tensor]],
        image_of: ImageOf,
        wanted: Sequence[int],
        progress: Progress,
    ) -> NDArray[np.float32]:
        """Return (1 + member, slice, level) scores; of a single network (1, slice, level)."""
        rows = 1 + len(members) if len(members) > 1 else 1
        scores = np.empty((rows, len(wanted), len(self.levels)), dtype=np.float32)
        done = 0
        for indices, images in batches_of(image_of, wanted, self._batch_size):
            placed = images.to(self._engine.device)
            logits = [member(placed) for member in members]
            all_logits = torch.stack([self._engine.combine(logits), *logits][:rows])
            scores[:, done : done + len(indices)] = torch.sigmoid(all_logits).cpu().numpy()
            done += len(indices)
            progress("score", done, len(wanted))
        return scores
