"""What a configuration may say, and what is refused with its place."""

from pathlib import Path

import pytest

from bodycomp.cli import main
from bodycomp.errors import InputNotFoundError, UsageError
from bodycomp.node.config_file import read_config

EXAMPLE = Path(__file__).parents[2] / "deploy" / "node.toml"
LEAST = '[node]\nspool = "spool"\n[[peers]]\nae_title = "PACS"\n[[rules]]\nname = "all"\n'
TARGET = '[[destinations]]\nname = "pacs"\nae_title = "PACS"\nhost = "pacs.example"\n'


def config(folder: Path, text: str):
    (folder / "node.toml").write_text(text)
    return read_config(folder / "node.toml")


def test_the_example_is_one() -> None:
    found = read_config(EXAMPLE)
    assert [rule.name for rule in found.rules] == ["not the head", "abdomen"]
    assert found.rules[1].thickness_mm == (0.5, 5.0)
    assert found.destinations[0].place == "PACS at 127.0.0.1:4242"


def test_what_is_not_said_is_safe(tmp_path: Path) -> None:
    found = config(tmp_path, LEAST)
    assert found.node.is_local
    assert found.node.spool == tmp_path / "spool"
    assert found.peers[0].is_at("127.0.0.1")
    assert not found.peers[0].is_at("10.1.2.3")
    assert found.page.port == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LEAST + "adress = 1\n", r"\[rules 1\]: expected keys among .*, found 'adress'"),
        ("nodes = 1\n" + LEAST, r"the file: expected keys among node, .*, found 'nodes'"),
        (LEAST.replace('"spool"', "3"), r"node.spool: expected Path, found 3"),
        ("[node]\n", "expected node.spool, found nothing"),
        (LEAST.replace("[[peers]]", "port = 0\n[[peers]]"), r"\[node\]: expected port from 1"),
        (LEAST.replace("[[peers]]", "port = true\n[[peers]]"), "node.port: expected int, found T"),
        (LEAST.replace("[[peers]]", 'address = "pacs"\n[[peers]]'), "expected an IP address"),
        (LEAST.replace("PACS", "A TITLE THAT IS LONG"), "expected an AE title of 1 to 16"),
        (LEAST + "thickness_mm = [1.0]\n", "rules 1.thickness_mm: expected a list of 2"),
        (LEAST + 'destinations = ["pacs"]\n', "expected destinations among none, found pacs"),
        (LEAST + TARGET + 'url = "https://x"\n', "expected ae_title and host, or url"),
        (LEAST + TARGET + "tls = true\n", r"expected a section \[tls\]"),
        (LEAST + '[measure]\nobjects = ["seg", "rtstruct"]\n', "expected objects to be one of"),
        (LEAST.replace("[[rules]]", "[[rules]").replace("]\nname", "\nname"), "expected TOML"),
        ('[node]\nspool = "x"\npeers = []\nrules = []\n', "expected keys among ae_title"),
        ('peers = []\nrules = []\n[node]\nspool = "x"\n', r"at least one of \[\[peers\]\]"),
    ],
)
def test_faults_are_refused_with_their_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as error:
        config(tmp_path, text)
    assert "node.toml" in error.value.message


def test_a_missing_file_is_named(tmp_path: Path, capsys) -> None:
    with pytest.raises(InputNotFoundError, match="found nothing at"):
        read_config(tmp_path / "node.toml")
    assert main(["serve", "status", str(tmp_path / "node.toml")]) == 1
    config(tmp_path, LEAST)
    assert main(["serve", "status", str(tmp_path / "node.toml")]) == 1
    assert "expected the spool of a node, found none" in capsys.readouterr().err
