"""A training's options as the command that a user would type."""

from __future__ import annotations

import dataclasses
import shlex
from typing import Final

from bodycomp.training.options import RunOptions

FLAGS: Final = {
    "augmentation": "no_augmentation",
    "loggers": "logger",
    "thoracic": "thoracic_model",
}
"""Where the command line has another name than the field; the others have the same."""

REPEATED: Final = frozenset({"loggers"})
"""Fields whose option is given once per value."""


def command_line(options: RunOptions) -> str:
    """Return the shortest command that gives these options."""
    data_dir, output_dir, arch = options.data_dir, options.output_dir, options.arch
    usual = type(options)(data_dir=data_dir, output_dir=output_dir, arch=arch)
    words = ["bodycomp", "train", options.task.replace("_", "-"), str(data_dir), str(output_dir)]
    if arch != options.architectures[0]:
        words += ["--arch", arch]
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if value != getattr(usual, field.name):
            words += _words(field.name, value)
    return shlex.join(words)


def _words(name: str, value: object) -> list[str]:
    flag = f"--{FLAGS.get(name, name)}"
    if isinstance(value, bool):
        return [flag]
    if isinstance(value, tuple):
        texts = [str(item) for item in value]
        if name in REPEATED:
            return [word for text in texts for word in (flag, text)]
        return [flag, *texts]
    return [flag, str(value)]
