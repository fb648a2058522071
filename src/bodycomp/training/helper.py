"""``python -m bodycomp.training.helper RUN_FOLDER RANK WORLD PORT``: one of several processes.

Started by ``launch.helpers``, never by hand.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from bodycomp.errors import BodycompError, RunInterruptedError
from bodycomp.signals import ignore_signals
from bodycomp.training.fit import join_training
from bodycomp.training.machine.launch import end_with_parent
from bodycomp.training.machine.ranks import on_one_machine
from bodycomp.training.run_folder import RunFolder
from bodycomp.training.steps.divergence import DivergedError

log = logging.getLogger(__name__)


def main(arguments: Sequence[str]) -> None:
    """Take part in the training whose first process started this one."""
    logging.basicConfig(level=logging.ERROR, format="%(message)s", stream=sys.stderr)
    end_with_parent()
    ignore_signals()
    folder = RunFolder(Path(arguments[0]))
    rank, world, port = (int(argument) for argument in arguments[1:])
    values = json.loads(folder.args.read_text(encoding="utf-8"))
    try:
        join_training(folder, values, on_one_machine(rank, world, port))
    except RunInterruptedError:
        return
    except BodycompError as error:
        # All processes diverge together, and the first one says so; other faults may be one's own.
        if not isinstance(error.__cause__, DivergedError):
            log.error("process %s of this training: %s", arguments[1], error)  # noqa: TRY400
        sys.exit(1)
    except RuntimeError as error:  # the others are gone
        log.error("process %s of this training: %s", arguments[1], str(error).partition("\n")[0])  # noqa: TRY400
        log.debug("", exc_info=True)
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
