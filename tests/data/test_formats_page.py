"""The examples of docs/formats.md run."""

import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs/formats.md").read_text(encoding="utf-8")


def test_the_examples_run_in_the_order_of_the_page(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        exec(compile(block, "formats.md", "exec"), {})
    assert "val_images.npy: expected this file" in capsys.readouterr().out
