"""``bodycomp cache``: show or clear the decoded slices that trainings keep."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

DESCRIPTION = """\
Show or clear the cache of decoded slices.

Slice-selection trainings keep each PNG slice decoded, in the size that the network sees, so that
later epochs and runs need not decode it again. Everything in the cache can be made again from the
training sets; files are named by their content alone."""


def set_up(parser: argparse.ArgumentParser) -> None:
    """Make the parser of this command."""
    parser.description = DESCRIPTION
    parser.add_argument("--clear", action="store_true", help="remove everything in it")
    parser.add_argument(
        "--cache_dir",
        type=Path,
        metavar="FOLDER",
        help="the cache's folder (default: $BODYCOMP_CACHE, else bodycomp/slices in the user's "
        "cache folder)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Say where the cache lies and how large it is, or was."""
    from bodycomp.data.gray_cache import BYTES_PER_GB, GrayCache, default_cache_dir

    cache = GrayCache(arguments.cache_dir or default_cache_dir(), 0)
    count, length = cache.clear() if arguments.clear else cache.usage()
    removed = " removed" if arguments.clear else ""
    files = "1 file" if count == 1 else f"{count} files"
    sys.stdout.write(f"{cache.folder}: {files}, {length / BYTES_PER_GB:.2f} GB{removed}\n")
    return 0
