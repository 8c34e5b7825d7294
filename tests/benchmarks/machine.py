"""What the figures were measured on, as a dict for the JSON."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

PACKAGES = (
    "inkstream", "pyspark", "kafka-python", "cassandra-driver", "ai-edge-litert", "numpy", "pyarrow", "pillow",
    "opencv-python-headless", "tensorflow", "keras", "flask",
)  # fmt: skip


def machine() -> dict[str, Any]:
    """The processor, its cores that this process may use, memory and system, and how busy it was before."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / (1 << 30), 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }


def versions() -> dict[str, str]:
    """The packages that count, those that are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
