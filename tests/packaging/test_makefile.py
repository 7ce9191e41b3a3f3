"""The Makefile: no target uses a variable that is not set."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TARGETS = re.findall(r"^([a-z][a-z -]*):.*## ", (ROOT / "Makefile").read_text(), re.M)
NAMES = sorted({name for line in TARGETS for name in line.split()})


@pytest.mark.skipif(
    shutil.which("make") is None or shutil.which("cargo") is None, reason="needs make and cargo"
)
@pytest.mark.parametrize("name", NAMES)
def test_no_variable_is_undefined(name):
    given = ["TARGET=s390x-unknown-linux-gnu"] if name == "test-foreign" else []
    command = ["make", "--dry-run", "--warn-undefined-variables", name, *given]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    undefined = set(re.findall(r"undefined variable '(\w+)'", ran.stderr))
    assert undefined <= {"CARGO_TARGET_DIR"}  # of the environment
