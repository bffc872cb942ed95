"""``python -m groundkit`` is the same as ``groundkit``."""

from groundkit.cli.app import main

main()
