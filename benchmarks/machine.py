"""What the figures were measured on. Neither names nor paths: results are published."""

from __future__ import annotations

import platform
from pathlib import Path

import psutil


def describe() -> dict[str, str]:
    """Return the processor, its cores, the memory, the system and the interpreter."""
    return {
        "processor": _processor(),
        "cores": str(psutil.cpu_count() or "?"),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load before": f"{psutil.getloadavg()[0]:.1f}",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
