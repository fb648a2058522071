"""The examples in docstrings of the package."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import bodycomp

ROOM = Path(bodycomp.__file__).parent
EXAMPLES = [path for path in sorted(ROOM.rglob("*.py")) if ">>> " in path.read_text("utf-8")]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(ROOM)))
def test_examples_of_docstrings_are_true(path):
    names = path.relative_to(ROOM.parent).with_suffix("").parts
    module = import_module(".".join(names).removesuffix(".__init__"))
    assert doctest.testmod(module).failed == 0
