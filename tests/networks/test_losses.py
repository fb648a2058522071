from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bodycomp.anatomy import (
    ABDOMINAL_TISSUES,
    NOT_ANNOTATED_LABEL,
    VISCERAL_FAT,
    background_or,
)
from bodycomp.errors import UsageError
from bodycomp.networks import losses
from bodycomp.networks.losses import (
    ClassOverlap,
    segmentation_loss,
    slice_selection_loss,
    soft_dice,
)
from bodycomp.networks.names import SEGMENTATION_LOSSES, SLICE_SELECTION_LOSSES

REFERENCE = Path(__file__).parents[2] / "../shared/legacy/window_dice.npz"

CASES = ("random4", "perfect4", "wrong4", "allbg_pred_bg", "allbg_uniform", "class2_absent")
CASES += ("random3", "batch1")


@pytest.mark.skipif(not REFERENCE.exists(), reason="the earlier loss values are not here")
@pytest.mark.parametrize("case", CASES)
def test_soft_dice_agrees_with_the_earlier_implementation(case):
    known = np.load(REFERENCE)
    probabilities = torch.tensor(np.moveaxis(known[f"dice_{case}_prob"], -1, 1), requires_grad=True)
    masks = torch.tensor(known[f"dice_{case}_mask"][..., 0])
    loss = -soft_dice(ClassOverlap.of(probabilities, masks))[1:].sum()
    loss.backward()
    assert loss.item() == pytest.approx(float(known[f"dice_{case}_loss"]), abs=1e-6)
    gradient = np.moveaxis(probabilities.grad.numpy(), 1, -1)
    np.testing.assert_allclose(gradient, known[f"dice_{case}_grad"], atol=1e-8)


def logits_for(masks: torch.Tensor, classes: int, certainty: float) -> torch.Tensor:
    return certainty * torch.nn.functional.one_hot(masks.long(), classes).movedim(-1, 1).float()


MASKS = torch.randint(0, 4, (2, 8, 8), generator=torch.Generator().manual_seed(1)).to(torch.uint8)


class TestSegmentation:
    def test_perfect_prediction(self):
        logits = logits_for(MASKS, 4, 50.0)
        assert losses.negative_dice_sum(logits, MASKS).item() == pytest.approx(-3)
        assert losses.dice_cross_entropy(logits, MASKS).item() == pytest.approx(0, abs=1e-5)

    def test_by_hand(self):
        """Two pixels, two classes, probability 0.5 throughout; one pixel is muscle."""
        logits, masks = torch.zeros(1, 2, 1, 2), torch.tensor([[[0, 1]]])
        dice = (2 * 0.5 + 1) / (1 + 1 + 1)
        assert losses.negative_dice_sum(logits, masks).item() == pytest.approx(-dice)
        expected = np.log(2) + 1 - dice
        assert losses.dice_cross_entropy(logits, masks).item() == pytest.approx(expected)

    @pytest.mark.parametrize("name", SEGMENTATION_LOSSES)
    @pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int64])
    def test_descent_finds_the_mask(self, name, dtype):
        logits = torch.zeros(2, 4, 8, 8, requires_grad=True)
        optimizer = torch.optim.Adam([logits], lr=0.5)
        for _ in range(30):
            optimizer.zero_grad()
            segmentation_loss(name)(logits, MASKS.to(dtype)).backward()
            optimizer.step()
        assert torch.equal(logits.argmax(1).to(torch.uint8), MASKS)

    @pytest.mark.parametrize("name", SEGMENTATION_LOSSES)
    def test_half_precision_logits_give_a_full_precision_loss(self, name):
        logits = logits_for(MASKS, 4, 50.0).to(torch.bfloat16)
        loss = segmentation_loss(name)(logits, MASKS)
        assert loss.dtype == torch.float32
        assert bool(loss.isfinite())


class TestNotAnnotated:
    """``uint8`` masks go through the compiled kernels where there are any, ``int64`` never do."""

    @settings(max_examples=40, deadline=None)
    @given(
        seed=st.integers(0, 10**6),
        share=st.floats(0, 1),
        name=st.sampled_from(SEGMENTATION_LOSSES),
        dtype=st.sampled_from([torch.uint8, torch.int64]),
        classes=st.integers(2, 4),
        side=st.integers(1, 21),
    )
    def test_loss_and_gradient_are_those_of_the_annotated_pixels_alone(
        self, seed, share, name, dtype, classes, side
    ):
        generator = torch.Generator().manual_seed(seed)
        logits = torch.randn(2, classes, side, side, generator=generator).requires_grad_()
        masks = torch.randint(0, classes, (2, side, side), generator=generator)
        known = torch.rand(masks.shape, generator=generator) >= share
        given = torch.where(known, masks, NOT_ANNOTATED_LABEL).to(dtype)
        loss = segmentation_loss(name)(logits, given)
        loss.backward()
        moved = logits.grad.movedim(1, -1)
        assert not moved[~known].any()
        if not known.any():
            assert bool(loss.isfinite())
            return
        alone = logits.detach().movedim(1, -1)[known].T[None, :, None].requires_grad_()
        expected = segmentation_loss(name)(alone, masks[known][None, None].to(dtype))
        expected.backward()
        assert loss.item() == pytest.approx(expected.item(), abs=1e-6)
        torch.testing.assert_close(moved[known], alone.grad[0, :, 0].T, atol=1e-7, rtol=1e-4)

    @pytest.mark.parametrize("name", SEGMENTATION_LOSSES)
    @pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
    def test_scores_of_pixels_that_are_not_annotated_change_nothing(self, name, dtype):
        masks = MASKS.to(dtype).clone()
        masks[:, :3] = NOT_ANNOTATED_LABEL
        logits = logits_for(MASKS, 4, 2.0)
        other = logits.clone()
        other[:, :, :3] = 7 * torch.randn(2, 4, 3, 8, generator=torch.Generator().manual_seed(2))
        loss = segmentation_loss(name)
        assert loss(logits.requires_grad_(), masks) == loss(other.requires_grad_(), masks)


MUSCLE_HIDDEN, FATS_HIDDEN = (
    background_or(ABDOMINAL_TISSUES[:1]),
    background_or(ABDOMINAL_TISSUES[1:]),
)


def exact_marginal_loss(name, logits, masks):
    """Return the loss in NumPy, from what each pixel may be."""
    values = np.moveaxis(logits.double().numpy(), 1, -1).reshape(-1, logits.shape[1])
    probabilities = np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)
    hidden = {255: {1, 2, 3}, MUSCLE_HIDDEN: {1}, FATS_HIDDEN: {2, 3}}
    overlap, predicted, size, entropies = np.zeros(4), np.zeros(4), np.zeros(4), []
    for p, label in zip(probabilities, masks.flatten().tolist(), strict=True):
        possible = {0} | hidden[label] if label in hidden else {label}
        if label != 255:
            entropies.append(-np.log(sum(p[list(possible)])))
        for c in range(1, 4):
            if c not in possible or possible == {c}:
                overlap[c] += p[c] * (label == c)
                predicted[c] += p[c]
                size[c] += label == c
    dice = ((2 * overlap + 1) / (predicted + size + 1))[1:]
    return np.mean(entropies) + 1 - dice.mean() if name == "dice_cross_entropy" else -dice.sum()


class TestMarginal:
    @pytest.mark.parametrize("name", SEGMENTATION_LOSSES)
    def test_against_an_exact_loss(self, name):
        generator = torch.Generator().manual_seed(3)
        logits = 3 * torch.randn(2, 4, 9, 7, generator=generator)
        masks = torch.randint(0, 4, (2, 9, 7), generator=generator).to(torch.uint8)
        masks[0][masks[0] <= 1] = MUSCLE_HIDDEN
        masks[1][masks[1] != 1] = FATS_HIDDEN
        masks[:, :3] = NOT_ANNOTATED_LABEL
        loss = segmentation_loss(name, marginal=True)(logits.requires_grad_(), masks)
        expected = exact_marginal_loss(name, logits.detach(), masks)
        assert loss.item() == pytest.approx(expected, rel=1e-5)
        loss.backward()
        assert not logits.grad[:, :, :3].any()

    @pytest.mark.parametrize("name", SEGMENTATION_LOSSES)
    def test_is_the_usual_loss_where_all_tissues_were_labeled(self, name):
        logits = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(2))
        masks = MASKS.clone()
        masks[0, :4] = NOT_ANNOTATED_LABEL
        gradients = []
        for marginal in (False, True):
            given = logits.clone().requires_grad_()
            segmentation_loss(name, marginal=marginal)(given, masks).backward()
            gradients.append(given.grad)
        torch.testing.assert_close(*gradients)

    @pytest.mark.parametrize("name", SEGMENTATION_LOSSES)
    def test_a_tissue_that_the_model_does_not_know_is_background(self, name):
        logits = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(2))
        masks = MASKS.clamp(max=2)
        coded = torch.where(masks == 0, background_or([VISCERAL_FAT]), masks)
        usual = segmentation_loss(name)(logits, masks)
        torch.testing.assert_close(segmentation_loss(name, marginal=True)(logits, coded), usual)

    @pytest.mark.parametrize("name", SEGMENTATION_LOSSES)
    def test_halves_of_the_labels_find_the_whole_mask(self, name):
        muscle = torch.where(MASKS == 1, 1, FATS_HIDDEN).to(torch.uint8)
        fats = torch.where(MASKS >= 2, MASKS, MUSCLE_HIDDEN).to(torch.uint8)
        logits = torch.zeros(2, 4, 8, 8, requires_grad=True)
        optimizer = torch.optim.Adam([logits], lr=0.5)
        loss = segmentation_loss(name, marginal=True)
        for _ in range(30):
            optimizer.zero_grad()
            loss(torch.cat([logits, logits]), torch.cat([muscle, fats])).backward()
            optimizer.step()
        assert torch.equal(logits.argmax(1).to(torch.uint8), MASKS)


KNOWN = torch.tensor([[True, False], [True, True]])


class TestSliceSelection:
    @pytest.mark.parametrize("name", SLICE_SELECTION_LOSSES)
    def test_what_is_not_annotated_takes_no_part(self, name):
        targets = torch.tensor([[0.2, torch.nan], [0.9, 0.5]])
        logits = torch.tensor([[1.0, 2.0], [3.0, -4.0]], requires_grad=True)
        loss = slice_selection_loss(name)(logits, targets)
        loss.backward()
        assert logits.grad[0, 1] == 0
        assert bool((logits.grad[KNOWN] != 0).all())
        alone = slice_selection_loss(name)(logits[KNOWN][:, None], targets[KNOWN][:, None])
        assert loss.item() == pytest.approx(alone.item())

    @pytest.mark.parametrize("name", SLICE_SELECTION_LOSSES)
    def test_nothing_annotated_gives_zero(self, name):
        logits = torch.ones(2, 3, requires_grad=True)
        loss = slice_selection_loss(name)(logits, torch.full((2, 3), torch.nan))
        loss.backward()
        assert loss.item() == 0
        assert not logits.grad.any()

    def test_absolute_error_by_hand(self):
        loss = losses.masked_absolute_error(torch.zeros(1, 2), torch.tensor([[0.9, 0.25]]))
        assert loss.item() == pytest.approx((0.4 + 0.25) / 2)

    @given(st.floats(0.01, 0.99))
    @settings(max_examples=20, deadline=None)
    @pytest.mark.parametrize("name", SLICE_SELECTION_LOSSES)
    def test_least_at_the_target(self, name, target):
        loss = slice_selection_loss(name)
        best = torch.tensor([[np.log(target / (1 - target))]])
        goal = torch.tensor([[target]])
        least = loss(best, goal)
        assert least <= loss(best + 0.1, goal)
        assert least <= loss(best - 0.1, goal)


def test_unknown_names():
    with pytest.raises(UsageError, match="unknown loss 'focal'"):
        segmentation_loss("focal")
    with pytest.raises(UsageError, match="unknown loss 'huber'"):
        slice_selection_loss("huber")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("classes", [2, 3, 4, 8])
@pytest.mark.parametrize("name", ["dice_cross_entropy", "negative_dice_sum"])
def test_losses_are_exact_in_any_type_and_layout(name, classes, dtype):
    """Against float64; the layout is channels-last or not."""
    torch.manual_seed(0)
    truth = torch.randint(0, classes, (2, 17, 23), dtype=torch.uint8)
    values = (4 * torch.randn(2, classes, 17, 23)).to(dtype)
    for layout in (torch.contiguous_format, torch.channels_last):
        logits = values.clone(memory_format=layout).requires_grad_()
        exact = values.double().requires_grad_()
        loss, expected = (
            segmentation_loss(name)(logits, truth),
            segmentation_loss(name)(exact, truth.long()),
        )
        assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
        loss.backward()
        expected.backward()
        error = (logits.grad.double() - exact.grad).norm() / exact.grad.norm()
        assert float(error) < (1e-5 if dtype == torch.float32 else 4e-3)


def test_of_more_tissues_half_of_the_loss_is_that_of_the_three_summed():
    generator = torch.Generator().manual_seed(5)
    masks = torch.randint(0, 10, (2, 16, 16), generator=generator).to(torch.uint8)
    logits = torch.randn(2, 10, 16, 16, generator=generator)
    parts = ((0, 8, 9), (1, 4, 5, 6, 7), (2,), (3,))
    summed = torch.stack([logits.softmax(dim=1)[:, own].sum(dim=1) for own in parts], dim=1).log()
    coarse = sum(n * torch.isin(masks, torch.tensor(own)) for n, own in enumerate(parts))
    expected = (
        losses.dice_cross_entropy(logits, masks)
        + losses.dice_cross_entropy(summed, coarse.to(torch.uint8))
    ) / 2
    torch.testing.assert_close(segmentation_loss()(logits, masks), expected)
