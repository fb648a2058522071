"""docs/formats.md lists every finding there is, and its examples run."""

import re
from pathlib import Path

import bodycomp.data

PAGE = (Path(__file__).parents[2] / "docs/formats.md").read_text(encoding="utf-8")
NO_CODES = {"utf-8-sig", "utf-8"}


def test_every_code_is_on_the_page_and_no_other():
    source = "".join(
        path.read_text(encoding="utf-8")
        for path in Path(bodycomp.data.__file__).parent.glob("*.py")
    )
    used = set(re.findall(r'"([a-z0-9]+(?:-[a-z0-9]+)+)"', source)) - NO_CODES
    listed = set(re.findall(r"^\| `([a-z0-9-]+)` \|", PAGE, re.MULTILINE))
    assert listed == used


def test_the_examples_run_in_the_order_of_the_page(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        exec(compile(block, "formats.md", "exec"), {})
    assert "val_images.npy: expected this file" in capsys.readouterr().out
