"""`groundkit demo` says where the page is, serves it, and ends with Ctrl-C."""

import json
import signal
import subprocess
import sys
import urllib.request

import pytest
from typer.testing import CliRunner

from groundkit.cli.app import app
from groundkit.demo import server as server_module


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_command_serves_until_interrupted(finished, number):
    """Also where the shell that started it has Ctrl-C ignored."""
    deaf = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]
    command = [*deaf, sys.executable, "-m", "groundkit", "demo", finished, "--no-open", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as started:
        try:
            url = json.loads(started.stdout.readline())["url"]
            with urllib.request.urlopen(f"{url}run.json", timeout=60) as reply:
                assert json.load(reply)["goal"] == "sum(X, Y, Z)"
            started.send_signal(number)
            assert started.wait(timeout=60) == 0
            assert started.stderr.read() == b""
        finally:
            started.kill()


def test_browser_is_opened_unless_told_otherwise(finished, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr(server_module.DemoServer, "serve_forever", lambda self: None)
    found = CliRunner().invoke(app, ["demo", str(finished)])
    assert found.exit_code == 0
    assert opened == [found.output.split()[2]] and opened[0].startswith("http://127.0.0.1:")
    CliRunner().invoke(app, ["demo", str(finished), "--no-open"])
    assert len(opened) == 1


def test_what_is_no_run_is_refused_in_one_message(tmp_path):
    found = CliRunner().invoke(app, ["demo", str(tmp_path / "absent"), "--no-open"])
    assert found.exit_code == 2
    assert "there is no run" in found.stderr
