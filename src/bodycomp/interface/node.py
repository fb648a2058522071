"""The DICOM node: what ``bodycomp serve`` does, as functions of a configuration file."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

from bodycomp.errors import UsageError
from bodycomp.interface.options import NodeOptions, RetryOptions

if TYPE_CHECKING:
    from bodycomp.node.check import Point
    from bodycomp.node.status import NodeStatus


def _check_installed() -> None:
    """Check that DICOM can be spoken.

    Raises:
        UsageError: A library is not installed.
    """
    missing = [name for name in ("pynetdicom", "dicomweb_client") if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"expected {' and '.join(missing)} for a DICOM node, found none",
            hint="Install it with: pip install 'bodycomp[node]'",
        )


def serve(options: NodeOptions) -> None:
    """Receive, measure and send until a signal ends it.

    Raises:
        InputNotFoundError, ModelError, OutputError, UsageError, RunInterruptedError: As the
            command.
    """
    _check_installed()
    from bodycomp.node.config_file import read_config
    from bodycomp.node.run import run_node

    run_node(read_config(options.config))


def check_node(options: NodeOptions) -> Iterator[Point]:
    """Yield what was found of each point of a configuration.

    Raises:
        InputNotFoundError, UsageError: The file cannot be used.
    """
    _check_installed()
    from bodycomp.node.check import check_node as run
    from bodycomp.node.config_file import read_config

    return run(read_config(options.config))


def node_status(options: NodeOptions) -> NodeStatus:
    """Return how a node does, whether or not it runs.

    Raises:
        InputNotFoundError, UsageError: There is no spool, or the file cannot be used.
    """
    from bodycomp.node.config_file import read_config
    from bodycomp.node.status import read_status

    return read_status(read_config(options.config))


def retry_studies(options: RetryOptions) -> list[str]:
    """Have studies that were set aside tried again; return their names.

    Raises:
        InputNotFoundError, UsageError: There is no such study, or the file cannot be used.
    """
    from bodycomp.node.config_file import read_config
    from bodycomp.node.status import retry_studies as run

    return run(read_config(options.config), options.studies)
