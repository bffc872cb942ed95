"""The server answers its own page on this machine, and nobody else."""

import http.client
import json
import re
import socket
import struct
import threading
from contextlib import contextmanager
from typing import Any

import pytest

from groundkit.demo.server import MOST_BYTES, DemoServer
from groundkit.errors import DataError, RunError

EMPTY: dict[str, Any] = {"drawings": {}, "pictures": {}, "values": {}, "fixed": {}, "evidence": []}
REQUESTS = {"/answer": EMPTY, "/suggest": {}, "/label": {"image": "a.png", "symbol": "1"}}


class Echo:
    """Answers with what it was asked, or fails as told."""

    def describe(self):
        return {"goal": "g(X)"}

    def __init__(self):
        self.labels = []

    def answer(self, drawings, values, **more):
        if "wrong" in drawings:
            raise DataError("no image 'wrong'")
        if "broken" in drawings:
            raise ZeroDivisionError("by zero")
        return {"drawings": drawings, "values": values, **more}

    def suggest(self):
        return {"maps": 2, "images": []}

    def label(self, image, symbol):
        self.labels.append((image, symbol))
        return {"maps": 1, "images": []}


def asking(**parts):
    """The body of a question."""
    return json.dumps(EMPTY | parts).encode()


@contextmanager
def serving(easel):
    with DemoServer(easel) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def server():
    with serving(Echo()) as server:
        yield server


def send(server, method, path, body=None, **headers):
    """Sends a request as the page does, with some headers changed or, if None, left out."""
    own = f"127.0.0.1:{server.server_port}"
    names = {"Host": own, "Origin": f"http://{own}", "Content-Type": "application/json"}
    if body is not None:
        names["Content-Length"] = str(len(body))
    names |= {name.replace("_", "-"): value for name, value in headers.items()}
    link = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    link.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in names.items():
        if value is not None:
            link.putheader(name, value)
    link.endheaders(body)
    reply = link.getresponse()
    content = reply.read()
    link.close()
    return reply, content


def test_page_and_its_parts_are_there_and_name_no_other_host(server):
    reply, page = send(server, "GET", "/")
    assert reply.status == 200
    assert "default-src 'none'" in reply.getheader("Content-Security-Policy")
    parts = re.findall(r'(?:src|href)="(?!data:|#)([^"]+)"', page.decode())
    assert set(parts) == {"page.js", "page.css", "style.css"}
    for part in parts:
        reply, content = send(server, "GET", f"/{part}")
        assert reply.status == 200 and content
        assert not re.search(rb"https?://|//\w+\.|@import|url\(", content), part
    assert not re.search(rb"https?://", page)
    assert json.loads(send(server, "GET", "/run.json")[1]) == {"goal": "g(X)"}


def test_own_page_is_answered(server):
    asked = EMPTY | {"drawings": {"X": "AA=="}, "values": {"Z": "1"}, "evidence": ["lucky"]}
    reply, content = send(server, "POST", "/answer", json.dumps(asked).encode())
    assert reply.status == 200 and json.loads(content) == asked
    by_name = f"localhost:{server.server_port}"
    again = send(
        server, "POST", "/answer", json.dumps(asked).encode(),
        Host=by_name, Origin=f"http://{by_name}",
    )  # fmt: skip
    assert again[0].status == 200


def test_own_page_may_ask_for_images_and_label_them(server):
    for path in ("/suggest", "/label"):
        reply, content = send(server, "POST", path, json.dumps(REQUESTS[path]).encode())
        assert reply.status == 200 and "maps" in json.loads(content)
    assert server.easel.labels.pop() == ("a.png", "1")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", None])
@pytest.mark.parametrize("path", ["/", *REQUESTS])
def test_other_names_for_this_machine_are_refused(server, host, path):
    method, body = (
        ("POST", json.dumps(REQUESTS[path]).encode()) if path in REQUESTS else ("GET", b"")
    )
    reply, content = send(server, method, path, body, Host=host)
    assert reply.status == 403 and "127.0.0.1" in json.loads(content)["error"]
    assert server.easel.labels == []


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1", None])
@pytest.mark.parametrize("path", REQUESTS)
def test_other_sites_may_not_ask(server, origin, path):
    reply, content = send(server, "POST", path, json.dumps(REQUESTS[path]).encode(), Origin=origin)
    assert reply.status == 403 and "own page" in json.loads(content)["error"]
    assert server.easel.labels == []


@pytest.mark.parametrize(
    ("status", "method", "path", "body", "headers"),
    [
        (404, "GET", "/../session.py", None, {}),
        (404, "GET", "/page.html", None, {}),
        (404, "GET", "/demo/static/page.html", None, {}),
        (404, "POST", "/", b"{}", {}),
        (501, "DELETE", "/", None, {}),
        (501, "OPTIONS", "/answer", None, {}),
        (415, "POST", "/answer", b"{}", {"Content_Type": "text/plain"}),
        (411, "POST", "/answer", None, {}),
        (411, "POST", "/answer", None, {"Content_Length": "-1"}),
        (413, "POST", "/answer", None, {"Content_Length": str(MOST_BYTES + 1)}),
        (413, "POST", "/answer", None, {"Content_Length": "9" * 5000}),
        (400, "POST", "/answer", b"\xff", {}),
        (400, "POST", "/answer", b"[" * 100_000, {}),
        (400, "POST", "/answer", b"[]", {}),
        (400, "POST", "/answer", b'{"drawings": {}, "values": {}}', {}),
        (400, "POST", "/answer", asking(path="a"), {}),
        (400, "POST", "/answer", asking(drawings={"X": 1}), {}),
        (400, "POST", "/answer", asking(fixed=["digit(X)"]), {}),
        (400, "POST", "/answer", asking(evidence={"lucky": "yes"}), {}),
        (400, "POST", "/answer", asking(evidence=[1]), {}),
        (400, "POST", "/answer", asking(drawings={"wrong": ""}), {}),
        (500, "POST", "/answer", asking(drawings={"broken": ""}), {}),
        (400, "POST", "/label", b'{"image": "a.png"}', {}),
        (400, "POST", "/label", b'{"image": "a.png", "symbol": 1}', {}),
        (415, "POST", "/label", b"image=a.png&symbol=1", {"Content_Type": "text/plain"}),
        (404, "GET", "/label", None, {}),
        (404, "GET", "/suggest", None, {}),
        (404, "POST", "/describe", b"{}", {}),
    ],
)
def test_other_requests_get_one_message(server, status, method, path, body, headers):
    reply, content = send(server, method, path, body, **headers)
    assert reply.status == status
    assert json.loads(content).keys() == {"error"} and json.loads(content)["error"]
    assert reply.getheader("Content-Type") == "application/json"


def test_only_this_machine_is_bound_and_a_taken_port_is_named(server):
    assert server.socket.getsockname()[0] == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{server.server_port}/"
    with pytest.raises(RunError, match=f"port {server.server_port} cannot be used"):
        DemoServer(Echo(), server.server_port)


def test_a_client_that_leaves_early_is_no_news(server, capfd):
    leaving = socket.create_connection(("127.0.0.1", server.server_port))
    leaving.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    leaving.sendall(b"POST /answer HTTP/1.1\r\n")
    leaving.close()
    assert send(server, "GET", "/run.json")[0].status == 200
    assert capfd.readouterr().err == ""


def test_a_client_that_falls_silent_holds_up_nobody(server):
    with socket.create_connection(("127.0.0.1", server.server_port)) as silent:
        silent.sendall(b"POST /answer HTTP/1.1\r\nContent-Length: 100\r\n")
        assert send(server, "GET", "/run.json")[0].status == 200
