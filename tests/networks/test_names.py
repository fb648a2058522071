import subprocess
import sys

LIGHT = ["names", "targets", "card", "allocator"]


def test_names_and_targets_come_without_torch():
    modules = "; ".join(f"import bodycomp.networks.{name}" for name in LIGHT)
    code = f"{modules}; import sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
