"""A training's options as the command that a user would type."""

from __future__ import annotations

import shlex
from functools import partial

from bodycomp.options import words_of
from bodycomp.training.options import RunOptions


def command_line(options: RunOptions) -> str:
    """Return the shortest command that gives these options."""
    make = partial(type(options), data_dir=options.data_dir, output_dir=options.output_dir)
    words = ["bodycomp", "train", options.task.replace("_", "-")]
    words += [str(options.data_dir), str(options.output_dir)]
    # What the architecture fills in is as it would be with the same architecture alone.
    usual = make(arch=options.arch)
    if options.arch != make().arch:
        words += ["--arch", options.arch]
    return shlex.join([*words, *words_of(options, usual)])
