"""Says where and with what a result was measured."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import date
from importlib.metadata import version
from pathlib import Path


def circumstances(*packages: str) -> str:
    """Words the date, the processors, Python and the versions of ``packages``."""
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    where = f"{processor()}{card()}, Python {platform.python_version()}"
    return f"{date.today().isoformat()}, {where}, {versions}"


def card() -> str:
    """Names the graphics card that torch sees, after a comma; empty where there is none."""
    torch = sys.modules.get("torch")
    return f", {torch.cuda.get_device_name()}" if torch and torch.cuda.is_available() else ""


def processor() -> str:
    """Names the processor, and how busy the machine was."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if "model name" in line), "")
    load = os.getloadavg()[0]
    return f"{model or platform.machine()} ({os.cpu_count()} cores, load {load:.1f})"


def commit() -> str:
    """Names the commit of the working tree that is measured, with ``+`` where files differ."""
    command = ["git", "describe", "--always", "--abbrev=10", "--dirty=+"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=Path(__file__).parent, check=False
    )
    return done.stdout.strip() or "unknown"
