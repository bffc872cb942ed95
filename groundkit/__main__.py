"""``python -m groundkit`` is the same as ``groundkit``."""

from groundkit.cli import main

main()
