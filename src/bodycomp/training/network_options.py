"""Options that belong to one architecture: filled in where it is chosen, refused elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from bodycomp.errors import UsageError


class _HasArchitecture(Protocol):
    @property
    def arch(self) -> str: ...


def fill_network_options(
    options: _HasArchitecture, defaults: Mapping[str, Mapping[str, Any]]
) -> None:
    """Replace None by the default of the chosen architecture.

    To be called while a frozen ``options`` is made.

    Args:
        options: With the chosen ``arch``, and a field for every option.
        defaults: Per architecture, its options with their defaults.

    Raises:
        UsageError: An option of another architecture was given.
    """
    own = defaults[options.arch]
    for arch, values in defaults.items():
        for name in values.keys() - own.keys():
            if getattr(options, name) is not None:
                raise UsageError(
                    f"--{name} is an option of --arch {arch}, found it with --arch {options.arch}",
                    hint=f"Leave it out, or choose --arch {arch}.",
                )
    for name, default in own.items():
        if getattr(options, name) is None:
            object.__setattr__(options, name, default)
