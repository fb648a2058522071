"""The words file of the documentation is one that the program takes."""

import re
from pathlib import Path

from bodycomp.networks.card_description import WORD_KEYS
from bodycomp.networks.card_files import read_words

PAGE = Path(__file__).parents[2] / "docs" / "model-card.md"


def test_the_example_of_the_documentation_uses_every_field(tmp_path):
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "words.yaml").write_text(example, encoding="utf-8")
    words = read_words(tmp_path / "words.yaml")
    assert all(getattr(words, key) for key in WORD_KEYS)
    assert words.out_of_scope == ("People under 18 years.",)
