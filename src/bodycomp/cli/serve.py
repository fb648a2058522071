"""``bodycomp serve``: a DICOM node."""

from __future__ import annotations

from bodycomp.cli.option_parser import Command, CommandGroup
from bodycomp.cli.terminal import share_cores
from bodycomp.interface.options import NodeOptions, RetryOptions

START = """\
Receive CT by C-STORE, measure each study when no more of its images come, and send segmentation
and report to the destinations that the first matching rule names. What is received is on the disk
before the sender is told so; a node that was killed continues where it was.

CONFIG is a TOML file; docs/serve.md explains it. SIGTERM or Ctrl-C ends the node."""

CHECK = """\
Check a configuration: the file, the spool, certificates, models, and whether every destination
answers. The exit code is 1 if the node would not work."""

STATUS = """\
Show how a node does, whether or not it runs: how many studies are where, what is pending for each
destination, and the studies that are not done with the reason. Names are pseudonyms."""

RETRY = """\
Have studies tried again that were set aside or refused, such as after a destination was repaired
or a rule was changed. The node may run."""


def start(options: NodeOptions) -> int:
    """Run the node."""
    share_cores()
    from bodycomp.interface.node import serve

    serve(options)
    return 0


def check(options: NodeOptions) -> int:
    """Print what was found as it is found."""
    from bodycomp.cli.terminal import say
    from bodycomp.interface.node import check_node

    failed = False
    for point in check_node(options):
        say(str(point))
        failed |= point.state == "error"
    return int(failed)


def status(options: NodeOptions) -> int:
    """Print how the node does."""
    from bodycomp.cli.terminal import say
    from bodycomp.interface.node import node_status

    say(*node_status(options).lines())
    return 0


def retry(options: RetryOptions) -> int:
    """Print which studies are tried again."""
    from bodycomp.cli.terminal import counted, say
    from bodycomp.interface.node import retry_studies

    found = retry_studies(options)
    say(*found, f"{counted(len(found), 'study')} tried again")
    return 0


COMMAND = CommandGroup(
    title="commands",
    metavar="WHAT",
    description="A DICOM node: it receives CT, measures it, and sends the results back.",
    commands={
        "start": (
            "run the node",
            Command(options=(NodeOptions,), run=start, description=START),
        ),
        "check": (
            "check a configuration, and ask destinations for an answer",
            Command(options=(NodeOptions,), run=check, description=CHECK),
        ),
        "status": (
            "show how a node does",
            Command(options=(NodeOptions,), run=status, description=STATUS),
        ),
        "retry": (
            "try studies again that were set aside",
            Command(options=(RetryOptions,), run=retry, description=RETRY),
        ),
    },
)
