"""``python -m bodycomp`` is the same as the ``bodycomp`` command."""

import sys

from bodycomp.cli import main

if __name__ == "__main__":
    sys.exit(main())
