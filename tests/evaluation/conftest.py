"""Make ``faulty_models`` and the annotated cases of preparation importable."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
for folder in (HERE, HERE.parent / "preparation"):
    sys.path.insert(0, str(folder))
