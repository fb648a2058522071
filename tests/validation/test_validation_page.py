"""docs/validation.md lists every issue there is, once or where both formats share it."""

import re
from pathlib import Path

import bodycomp

ROOMS = [Path(bodycomp.__file__).parent / room for room in ("data", "validation")]
PAGE = (Path(__file__).parents[2] / "docs/validation.md").read_text(encoding="utf-8")
NO_CODES = {"utf-8-sig", "utf-8", "slice-selection", "bodycomp-validation"}


def test_every_code_is_on_the_page_and_no_other():
    source = "".join(
        path.read_text(encoding="utf-8") for room in ROOMS for path in room.glob("*.py")
    )
    used = set(re.findall(r'"([a-z0-9]+(?:-[a-z0-9]+)+)"', source)) - NO_CODES
    rules = PAGE.split("## Planted faults")[0]
    rows = re.findall(r"^\| (`[a-z0-9-]+`(?:, `[a-z0-9-]+`)*) \|", rules, re.MULTILINE)
    listed = {code for row in rows for code in re.findall(r"`([a-z0-9]+(?:-[a-z0-9]+)+)`", row)}
    assert listed == used


def test_every_rule_stands_under_its_severity():
    for section in re.split(r"^## ", PAGE, flags=re.MULTILINE):
        title = section.splitlines()[0] if section else ""
        if not title.endswith((": errors", ": warnings")):
            continue
        severity = title.split(": ")[1].removesuffix("s")
        for code in re.findall(r"^\| `([a-z0-9-]+)` \|", section, re.MULTILINE):
            assert severity in _severities(code), code


def _severities(code: str) -> set[str]:
    """Return the severities that the source gives a code, both where it depends."""
    found = set()
    for path in (path for room in ROOMS for path in room.glob("*.py")):
        source = path.read_text(encoding="utf-8")
        quoted = re.escape(f'"{code}"')
        if re.search(rf"Rule\(\s*{quoted},\s*\"(\w+)\"", source):
            found |= set(re.findall(rf"Rule\(\s*{quoted},\s*\"(\w+)\"", source))
        elif quoted and f'"{code}"' in source:
            found |= {"error", "warning"}
    return found
