"""Facts about the machine and the package versions of a measurement."""

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from sidkit._arguments import checked

__all__ = ["machine_facts", "version_facts"]

_PACKAGES = ("sidkit", "numpy", "polars", "torch", "sentence-transformers", "scikit-learn")


@checked
def machine_facts() -> dict[str, Any]:
    """Return the processor, the cores this process may use, the memory in bytes and the operating system."""
    return {
        "cpu": _cpu_name(),
        "cores": _cores(),
        "memory_bytes": _memory_bytes(),
        "system": f"{platform.system()} {platform.machine()}",
    }


@checked
def version_facts() -> dict[str, str]:
    """Return the versions of Python and of the installed packages that a result depends on."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _cores() -> int:
    # `sched_getaffinity` is missing on some systems, such as macOS.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None
