"""Trainings that go wrong: what counts as it, and how they are set back on their way.

A training diverges when its loss or gradient is not finite, or when the loss stays far above what
it was. It then resumes from the last state before that, with a smaller learning rate.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final

from bodycomp.errors import TrainingError
from bodycomp.training.run_folder import RunFolder
from bodycomp.training.steps.checkpoints import RESUME_HINT, Kept, find_checkpoints
from bodycomp.training.steps.state import TrainingState

log = logging.getLogger(__name__)

RATE_CUT: Final = 0.3
"""What each step back multiplies the learning rate with."""

MAX_STEP_BACKS: Final = 3

USUAL_LOSSES: Final = 100
"""Steps whose median loss counts as the usual one."""

FEWEST_LOSSES: Final = 20
"""Steps before there is a usual loss."""

EXPLODED_FACTOR: Final = 10.0
"""A loss is high if it exceeds the usual one by this many times its size..."""

SMALLEST_LOSS: Final = 0.1
"""...which is taken to be at least this, so that a loss near zero may vary."""

HIGH_STEPS: Final = 20
"""Steps in a row with a high loss that are no accident: one odd batch is no divergence."""

STUCK_EPOCHS: Final = 5
"""Epochs in a row without a pixel of a tissue before a warning; and after 10, 20, 40 ..."""

ADVICE: Final = (
    "Start a new run with a --learning_rate ten times smaller; if that does not help, with "
    "--precision 32. --load_weights with this run's folder begins with its best model."
)


class DivergedError(TrainingError):
    """A training diverged.

    Args:
        first_bad_step: States of more steps than this are of no use.
    """

    def __init__(self, message: str, *, first_bad_step: int) -> None:
        super().__init__(message, hint=ADVICE)
        self.first_bad_step = first_bad_step


def watch_loss(state: TrainingState, step: int, loss: float) -> None:
    """Compare a step's finite loss with the usual one."""
    if len(state.usual_losses) >= FEWEST_LOSSES:
        usual = median(state.usual_losses)
        if loss > usual + EXPLODED_FACTOR * max(abs(usual), SMALLEST_LOSS):
            state.high_steps += 1
            if state.high_steps >= HIGH_STEPS:
                raise DivergedError(
                    f"the loss has been near {loss:.3g} for {HIGH_STEPS} steps up to step {step}, "
                    f"far above the usual {usual:.3g}, at learning rate {state.used_rate:.3g}",
                    first_bad_step=step + 1 - HIGH_STEPS,
                )
            return
    state.high_steps = 0
    state.usual_losses = [*state.usual_losses[1 - USUAL_LOSSES :], loss]


def not_finite(what: str, state: TrainingState, step: int, epoch: int) -> DivergedError:
    """Return the error that says that a loss, a gradient or weights are not finite."""
    return DivergedError(
        f"the {what} no longer finite in step {step}, epoch {epoch}, "
        f"at learning rate {state.used_rate:.3g}",
        first_bad_step=step,
    )


def step_back(state: TrainingState, folder: RunFolder, error: DivergedError) -> Path:
    """Choose the state to resume from, and note the step back in ``state``.

    All processes of a training come to the same choice.

    Returns:
        The checkpoint; what ``state.step_backs`` then says is to be kept with it.

    Raises:
        TrainingError: It diverged too often.
    """
    done = len(state.step_backs)
    if done >= MAX_STEP_BACKS:
        raise TrainingError(
            f"{error.message}, also after {done} returns to an earlier state, the last with "
            f"{RATE_CUT**done:.2g} of the learning rate",
            hint=error.hint,
        ) from error
    kept = _choose(find_checkpoints(folder)[0], error.first_bad_step)
    if kept is None:
        raise error
    factor = RATE_CUT ** (done + 1)
    taken = {
        "from_step": state.step,
        "to_step": kept.step,
        "rate_factor": factor,
        "reason": error.message,
    }
    state.step_backs = [*state.step_backs, taken]
    log.warning(
        "%s: going back to step %d (%s) and on with %.2g of the learning rate (%d of at most %d)",
        error.message,
        kept.step,
        kept.path.name,
        factor,
        done + 1,
        MAX_STEP_BACKS,
    )
    return kept.path


def _choose(good: Sequence[Kept], first_bad_step: int) -> Kept | None:
    """Return the most advanced state before the divergence; the oldest if all are after it."""
    before = [kept for kept in good if kept.step <= first_bad_step]
    return before[0] if before else (good[-1] if good else None)


def rate_factor(state: TrainingState) -> float:
    """Return what the steps back so far multiply the learning rate with."""
    return RATE_CUT ** len(state.step_backs)


def warn_of_missed(state: TrainingState, missed: Sequence[str], epoch: int) -> None:
    """Warn when no pixel of a tissue that is there was found for several epochs in a row.

    The training continues: a small tissue may begin late, and the others are learnt meanwhile.
    """
    state.missed_epochs = {name: state.missed_epochs.get(name, 0) + 1 for name in missed}
    for name, count in state.missed_epochs.items():
        times, rest = divmod(count, STUCK_EPOCHS)
        if rest or times & (times - 1):
            continue
        warning = (
            f"epoch {epoch}: for {count} epochs the network has found no pixel of {name}, which "
            "the validation masks have"
        )
        state.warnings = [*state.warnings, warning]
        log.warning(
            "%s. If it stays so: check that the training masks have it, try a smaller "
            "--learning_rate, or the default --loss.",
            warning,
        )


def stop_at_once(error: DivergedError) -> TrainingError:
    """Return the error of a training that is not to step back."""
    return TrainingError(
        error.message,
        hint=f"{error.hint} To try again from the last checkpoint with a smaller learning rate: "
        f"--on_divergence step-back. {RESUME_HINT}",
    )
