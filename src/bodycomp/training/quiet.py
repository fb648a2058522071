"""Keeps Lightning's banners and hints, which speak to programmers, from a user's terminal."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

LOGGERS = ("lightning", "lightning.pytorch", "lightning.fabric", "lightning_utilities")


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Raise the level of Lightning's loggers to errors and drop the warnings that it gives."""
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning\..*")
        # Layers laid out channels-last meet DDP's buckets; the copy costs little.
        warnings.filterwarnings("ignore", message=r"Grad strides do not match bucket view")
        try:
            for name in LOGGERS:
                logging.getLogger(name).setLevel(logging.ERROR)
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
