"""``bodycomp cache``: show or clear the decoded slices that trainings keep."""

from __future__ import annotations

from bodycomp.cli.option_parser import Command
from bodycomp.interface.options import CacheOptions

DESCRIPTION = """\
Show or clear the cache of decoded slices.

Slice-selection trainings keep each PNG slice decoded, in the size that the network sees, so that
later epochs and runs need not decode it again. Everything in the cache can be made again from the
training sets; files are named by their content alone."""


def run(options: CacheOptions) -> int:
    """Say where the cache lies and how large it is, or was."""
    from bodycomp.cli.terminal import counted, say
    from bodycomp.interface.sets import cache

    found = cache.run(options)
    removed = " removed" if options.clear else ""
    say(f"{found.folder}: {counted(found.files, 'file')}, {found.size_bytes / 1e9:.2f} GB{removed}")
    return 0


COMMAND = Command(options=(CacheOptions,), run=run, description=DESCRIPTION)
