"""Run every measurement and print one table; ``python -m benchmarks`` from the project's root."""

from __future__ import annotations

import os
import platform

from benchmarks import (
    command,
    evaluation,
    inference,
    loading,
    memory,
    networks,
    phantom,
    prepare,
    report,
    show,
    validate,
)


def main() -> None:
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for module in (
        command,
        phantom,
        prepare,
        validate,
        show,
        report,
        loading,
        memory,
        networks,
        inference,
        evaluation,
    ):
        for what, result in module.run():
            print(f"{what:60} {result}", flush=True)


if __name__ == "__main__":
    main()
