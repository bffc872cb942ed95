"""Serves the page of a run until it is interrupted."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from groundkit.demo.easel import Easel
from groundkit.demo.server import DemoServer
from groundkit.runs.session import open_run


def demo(
    run: Path | str,
    *,
    port: int = 0,
    open_browser: bool = True,
    trust: bool = False,
    device: str = "auto",
    say: Callable[[str], None] = print,
) -> None:
    """Serves a page on which one draws images and sees a run answer, until it is interrupted.

    Only this machine reaches the page, at 127.0.0.1.

    Args:
        run: A run's folder.
        port: A port; 0 takes a free one.
        open_browser: Open the page.
        trust: Allow the program to run Python code.
        device: ``auto``, ``cpu`` or ``cuda``.
        say: Told the page's address.

    Raises:
        InputError: The run is wrong, or its goal has no images.
        RunError: The port cannot be used.

    Example:
        >>> import groundkit
        >>> groundkit.demo("runs/tiny")  # doctest: +SKIP
    """
    easel = Easel(open_run(run, trust=trust, device=device))
    # Ctrl-C is how a user ends it, at any moment once the address has been said.
    with suppress(KeyboardInterrupt), DemoServer(easel, port) as server:
        say(server.url)
        if open_browser:
            webbrowser.open(server.url)
        server.serve_forever()
