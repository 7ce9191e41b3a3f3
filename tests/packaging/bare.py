"""Tried by `make test-wheel` in an environment with only NumPy and the wheel built from the sdist."""

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np

import sidkit


def main() -> None:
    """Exit with an error unless the wheel does what it must do on its own."""
    installed = {distribution.metadata["Name"] for distribution in metadata.distributions()}
    expect(
        installed <= {"sidkit", "numpy", "pip", "setuptools"}, f"more is installed than NumPy: {installed}"
    )
    expect(metadata.version("sidkit") == sidkit.__version__, "the wheel and the extension differ in version")

    layout = sidkit.SidLayout([256, 256, 4])
    tokens = np.array([[12, 200, 3], [0, 0, 0]], np.uint16)
    expect(np.array_equal(layout.unpack(layout.pack(tokens)), tokens), "packing does not round-trip")

    package = Path(sidkit.__file__).parent
    for name in ("py.typed", "_core.pyi"):
        expect((package / name).is_file(), f"{name} is not in the wheel")
    expect("site-packages" in package.parts, f"the package of the wheel was not imported, but {package}")

    command = Path(sys.executable).with_name("sidkit" + (".exe" if os.name == "nt" else ""))
    answer = subprocess.run([command, "run", "ml-100k"], capture_output=True, text=True, check=False)
    expect(answer.returncode == 1, f"exit code {answer.returncode}: {answer.stderr}")
    expect("pip install 'sidkit[cli]'" in answer.stderr, f"the extra is not named: {answer.stderr}")
    expect("Traceback" not in answer.stderr, answer.stderr)
    print(
        f"1 passed, 0 failed: sidkit {sidkit.__version__} from the wheel, with NumPy {np.__version__} alone"
    )


def expect(holds: bool, message: str) -> None:
    """Stop with a message unless something holds."""
    if not holds:
        sys.exit(f"0 passed, 1 failed: {message}")


main()
