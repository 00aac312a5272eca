"""`inspect --serve`: the page on a local address, and what happens to it when the user's code changes."""

import http.client
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from multiprocessing import forkserver
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from drawings import die, draw

from datakit.report.rerun import Run, own_files
from datakit.report.serve import serve

CODE = """
from datakit.transforms import Compose, Rescale, ToTensor

def chain_name():
    return "{name}"

chain = Compose([Rescale({size}), ToTensor()])
"""


def write(path, text):
    """As an editor does it: beside the file, then over it; the time is another one on any file system."""
    write.time += 2
    draft = path.with_suffix(".part")
    draft.write_text(text)
    os.utime(draft, (write.time, write.time))
    draft.replace(path)


write.time = 1_700_000_000


@pytest.fixture(autouse=True, scope="module")
def _own_fork_server():
    """One that another test has started has not imported torch, and each drawing would take seconds."""
    forkserver._forkserver._stop()


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "own_chain.py", CODE.format(name="one", size=40))
    return tmp_path


def test_a_run_reads_the_code_as_it_is_now(here):
    for name in ("one", "two"):
        write(here / "own_chain.py", CODE.format(name=name, size=40))
        drawn = Run(draw, "/events").result(60)
        assert drawn.page == f"<p>{name} /events</p>"
        assert drawn.files >= {str(here / "own_chain.py")}
    assert "own_chain" not in sys.modules


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("def chain_name(:", "SyntaxError"),
        ("def chain_name():\n    raise ValueError('no such colour')", "no such colour"),
        ("raise SystemExit(3)", "SystemExit"),
        ("import a_module_that_is_not_there", "a_module_that_is_not_there"),
    ],
)
def test_code_that_fails_is_told_with_its_file(here, code, told):
    write(here / "own_chain.py", code)
    drawn = Run(draw, "/events").result(60)
    assert drawn.page is None
    assert told in drawn.error
    assert str(here / "own_chain.py") in drawn.files


def test_a_process_that_dies_is_told():
    assert "died (exit code -9)" in Run(die, "/events").result(60).error


def test_only_the_users_code_is_watched():
    files = set(own_files())
    assert str(Path(__file__).resolve()) in files
    assert not [file for file in files if "site-packages" in file or "/datakit/datakit/" in file]


class Ended(Exception):
    """Raised from `tell`, as Ctrl-C would be."""


@pytest.fixture
def served(here):
    """The address, and the lines that were told, as they come."""
    addresses, told, ending = queue.Queue(), queue.Queue(), threading.Event()

    def tell(line):
        told.put(line)
        if ending.is_set():
            raise Ended

    def run():
        with pytest.raises(Ended):
            serve(draw, started=lambda address, files: addresses.put(address), tell=tell)

    thread = threading.Thread(target=run)
    thread.start()
    yield addresses.get(timeout=60), told
    ending.set()
    write(here / "own_chain.py", CODE.format(name="the end", size=40))
    thread.join(30)
    assert not thread.is_alive()


@pytest.fixture(autouse=True)
def opened():
    """Connections that the test opened, closed at its end."""
    get.open = []
    yield
    for connection in get.open:
        connection.close()


def get(address, path="/", host=None):
    port = int(address.rstrip("/").rsplit(":", 1)[1])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers={"Host": host} if host else {})
    response = connection.getresponse()
    get.open += [response, connection]
    return response


def events(response):
    """(kind, text) as they come."""
    kind, text = "", []
    for raw in response:
        line = raw.decode().rstrip("\n")
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            text.append(line.removeprefix("data: "))
        elif not line and kind:
            yield kind, "\n".join(text)
            kind, text = "", []


def test_a_change_is_drawn_and_an_error_is_shown_until_it_is_mended(served, here):
    address, told = served
    page = get(address)
    assert page.read().decode() == "<p>one /events?seen=1</p>"
    assert page.headers["Cache-Control"] == "no-store"
    stream = events(get(address, "/events?seen=1"))
    write(here / "own_chain.py", "def chain_name(:")
    kind, text = next(stream)
    assert kind == "broken"
    assert "SyntaxError" in text
    assert "SyntaxError" in told.get(timeout=30)
    assert get(address).read().decode() == "<p>one /events?seen=1</p>"  # what was there stays to be seen
    assert next(events(get(address, "/events?seen=1")))[0] == "broken"  # also in a window that is opened now
    write(here / "own_chain.py", CODE.format(name="two", size=50))
    assert next(stream) == ("changed", "2")
    assert get(address).read().decode() == "<p>two /events?seen=2</p>"


def test_a_page_from_before_hears_of_the_change_at_once(served, here):
    address, told = served
    write(here / "own_chain.py", CODE.format(name="two", size=50))
    assert told.get(timeout=30) == "drawn again"
    assert next(events(get(address, "/events?seen=1"))) == ("changed", "2")


@pytest.mark.timeout(60)
def test_a_change_is_seen_whatever_the_clock_of_the_file_system_says(here, monkeypatch):
    """It may be behind the machine's, as on a share: no file seems to have changed after the drawing began."""
    monkeypatch.setattr("datakit.report.serve.time", SimpleNamespace(time=lambda: time.time() + 1e6))

    def change(*_):
        write(here / "own_chain.py", CODE.format(name="two", size=50))

    def tell(line):
        assert line == "drawn again"
        raise Ended

    with pytest.raises(Ended):
        serve(draw, started=change, tell=tell)


def test_nobody_else_gets_in(served):
    address, _ = served
    assert get(address, host="evil.example").status == 421
    assert get(address, host="localhost:" + address.rstrip("/").rsplit(":", 1)[1]).status == 200
    assert get(address, "/../etc/passwd").status == 404
    port = int(address.rstrip("/").rsplit(":", 1)[1])
    (bound,) = {c.laddr.ip for c in psutil.Process().net_connections("tcp") if c.laddr.port == port and not c.raddr}
    assert bound == "127.0.0.1"


def test_the_command(here):
    """From the shell: the address, a change, Ctrl-C."""
    command = [sys.executable, "-m", "datakit", "inspect", "faces", "--synthetic", "--records", "6", "--samples", "2"]
    process = subprocess.Popen(
        [*command, "--transform", "own_chain:chain", "--serve"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        address = process.stdout.readline().split()[1]
        assert process.stderr.readline().strip() == "watching own_chain.py"
        assert "Rescale(40)" in get(address).read().decode()
        stream = events(get(address, "/events?seen=1"))
        write(here / "own_chain.py", CODE.format(name="two", size=64))
        assert next(stream)[0] == "changed"
        assert "Rescale(64)" in get(address).read().decode()
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert psutil.wait_procs(children, timeout=10)[1] == []
    finally:
        process.kill()
        process.communicate()


def test_a_taken_port_and_options_that_do_not_go_together(here):
    from click.testing import CliRunner

    from datakit.cli import command

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        words = ["inspect", "faces", "--synthetic", "--records", "4", "--samples", "1", "--serve", "--port", port]
        result = CliRunner().invoke(command, words)
    assert result.exit_code == 1
    assert f"port {port} cannot be used (address already in use); without --port" in result.output
    for option in (["--json"], ["--png", "x.png"]):
        result = CliRunner().invoke(command, [*words[:-2], *option])
        assert (result.exit_code, "do not go together" in result.output) == (2, True)


def test_an_unknown_name_ends_it(here):
    from click.testing import CliRunner

    from datakit.cli import command

    result = CliRunner().invoke(command, ["inspect", "fases", "--synthetic", "--serve"])
    assert result.exit_code == 2
    assert "did you mean 'faces'" in result.stderr
    assert result.stdout == ""
