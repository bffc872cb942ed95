"""Serves the page to this machine alone: fixed routes, no files by name, nobody else's requests.

A web page of a stranger that is open in the same browser can send requests to this machine, under
its own name (so every request must name this server in Host) or from its own origin (so what
changes anything must come from this server's page, in Origin).
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any, Protocol

from groundkit.errors import DataError, GroundkitError, RunError

ADDRESS = "127.0.0.1"
MOST_BYTES = 1 << 20
_SLOWEST_S = 10
_PAGES = {
    "/": ("demo/static/page.html", "text/html; charset=utf-8"),
    "/page.js": ("demo/static/page.js", "text/javascript; charset=utf-8"),
    "/page.css": ("demo/static/page.css", "text/css; charset=utf-8"),
    "/style.css": ("report/templates/style.css", "text/css; charset=utf-8"),
}
_JSON = "application/json"
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Answering(Protocol):
    """What the page asks; :class:`groundkit.demo.easel.Easel` answers."""

    def describe(self) -> dict[str, Any]:
        """Returns what is there to draw."""

    def answer(
        self,
        drawings: Mapping[str, str],
        values: Mapping[str, str],
        *,
        pictures: Mapping[str, str],
        fixed: Mapping[str, str],
        evidence: Sequence[str],
    ) -> dict[str, Any]:
        """Answers about drawings."""

    def suggest(self) -> dict[str, Any]:
        """Names images to label."""

    def label(self, image: str, symbol: str) -> dict[str, Any]:
        """Takes up a label, which changes the run."""


class DemoServer(ThreadingHTTPServer):
    """The page's server, bound but not yet serving.

    Args:
        easel: Answers what the page asks.
        port: A port of this machine; 0 takes a free one.

    Raises:
        RunError: The port is taken, or may not be used.
    """

    daemon_threads = True

    def __init__(self, easel: Answering, port: int = 0) -> None:
        self.easel = easel
        # One network answers one request at a time; what is drawn meanwhile waits.
        self.turn = threading.Lock()
        try:
            super().__init__((ADDRESS, port), _Handler)
        except (OSError, OverflowError) as error:
            raise RunError(
                f"port {port} cannot be used: {error}",
                remedy="choose another with --port, or 0 for a free one",
            ) from None

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{ADDRESS}:{self.server_port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of a browser that leaves before it is answered."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _RefusedError(Exception):
    """A request that is answered with a status and one message."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        self.status = status
        super().__init__(message)


class _Handler(BaseHTTPRequestHandler):
    server: DemoServer
    server_version = "groundkit"
    sys_version = ""
    timeout = _SLOWEST_S

    def do_GET(self) -> None:
        """Sends the page, its parts, and what the run asks for."""
        self._reply(self._get)

    def do_POST(self) -> None:
        """Answers about drawings, names images to label, takes up labels."""
        self._reply(self._post)

    def _reply(self, act: Any) -> None:
        try:
            self._check_host()
            content, kind = act()
            self._send(HTTPStatus.OK, content, kind)
        except _RefusedError as refusal:
            self._fail(refusal.status, str(refusal))
        except GroundkitError as error:
            self._fail(HTTPStatus.BAD_REQUEST, str(error))
        except (ConnectionError, TimeoutError):
            self.close_connection = True
        except Exception as error:
            words = f"internal error, {type(error).__name__}: {error}"
            self._fail(HTTPStatus.INTERNAL_SERVER_ERROR, words)

    def _names(self) -> set[str]:
        return {f"{name}:{self.server.server_port}" for name in (ADDRESS, "localhost")}

    def _check_host(self) -> None:
        """Refuses requests that were meant for another name than this machine's."""
        if not set(self.headers.get_all("Host", [""])) <= self._names():
            raise _RefusedError(HTTPStatus.FORBIDDEN, "this server answers to 127.0.0.1 only")

    def _get(self) -> tuple[bytes, str]:
        if self.path == "/run.json":
            return self._json(self.server.easel.describe()), _JSON
        if self.path not in _PAGES:
            raise _RefusedError(HTTPStatus.NOT_FOUND, "there is no such page")
        name, kind = _PAGES[self.path]
        return files("groundkit").joinpath(name).read_bytes(), kind

    def _post(self) -> tuple[bytes, str]:
        if self.path not in _READERS:
            raise _RefusedError(HTTPStatus.NOT_FOUND, "there is no such page")
        if self.headers.get("Origin") not in {f"http://{name}" for name in self._names()}:
            raise _RefusedError(HTTPStatus.FORBIDDEN, "only this server's own page may ask")
        if self.headers.get_content_type() != _JSON:
            raise _RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"the request is not {_JSON}")
        asked = _READERS[self.path](self.rfile.read(self._length()))
        with self.server.turn:
            return self._json(getattr(self.server.easel, self.path[1:])(**asked)), _JSON

    def _length(self) -> int:
        stated = self.headers.get("Content-Length", "")
        if not stated.isascii() or not stated.isdigit():
            raise _RefusedError(HTTPStatus.LENGTH_REQUIRED, "the request does not state its length")
        if len(stated) > 9 or int(stated) > MOST_BYTES:
            raise _RefusedError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a request has at most {MOST_BYTES} bytes"
            )
        return int(stated)

    def _json(self, value: Any) -> bytes:
        return json.dumps(value).encode()

    def _fail(self, status: HTTPStatus, message: str) -> None:
        self._send(status, self._json({"error": message}), _JSON)

    def _send(self, status: HTTPStatus, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Words what the library refuses by itself, such as an unknown method, as JSON too."""
        status = HTTPStatus(code)
        self._fail(status, message or status.phrase)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: the terminal is for people."""


def _read(body: bytes, wanted: str, needed: Mapping[str, Callable[[Any], bool]]) -> dict[str, Any]:
    """Reads a request: a JSON object with just these keys.

    Raises:
        DataError: It is something else.
    """
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        raise DataError("the request is not JSON") from None
    fits = isinstance(asked, dict) and asked.keys() == needed.keys()
    if not fits or not all(check(asked[key]) for key, check in needed.items()):
        raise DataError("the request is not understood", expected=wanted)
    found: dict[str, Any] = asked
    return found


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _texts(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_text, value.values()))


def _listed(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


_READERS: Mapping[str, Callable[[bytes], dict[str, Any]]] = {
    "/answer": partial(
        _read,
        wanted='{"drawings": {NAME: BASE64}, "pictures": {NAME: BASE64}, "values": {NAME: VALUE}, '
        '"fixed": {ATOM: SYMBOL}, "evidence": [FACT]}',
        needed={
            "drawings": _texts,
            "pictures": _texts,
            "values": _texts,
            "fixed": _texts,
            "evidence": _listed,
        },
    ),
    "/suggest": partial(_read, wanted="{}", needed={}),
    "/label": partial(
        _read,
        wanted='{"image": IMAGE, "symbol": SYMBOL}',
        needed={"image": _is_text, "symbol": _is_text},
    ),
}
"""Requests of the page, which the easel's methods of the same names answer."""
