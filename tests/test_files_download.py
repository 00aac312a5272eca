"""Downloads over a network that fails in every way: the bytes are right, or there is an error that says why."""

import hashlib
import itertools
import random
import re
import sys
import time

import pytest
import requests
from servers import serving

from datakit.errors import DownloadError
from datakit.files import Remote, ensure
from datakit.files.http import LONGEST_PAUSE, Patience, _pause
from datakit.files.place import Place
from datakit.files.responses import SourceError, stay_secure
from datakit.files.sources import fetch

DATA = random.Random(7).randbytes(300_000)
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.delenv("DATAKIT_MIRROR", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("datakit.files.http.FIRST_PAUSE", 0.001)
    with serving() as running:
        running.files["/x.bin"] = DATA
        yield running


def get(server, root, name="x.bin", *, timeout=5.0, retries=5, path="/x.bin", **known):
    """Fetches `name` and returns its bytes."""
    remote = Remote(name, (f"{server.url}{path}",), **known)
    ensure([remote], root, download=True, progress=False, timeout=timeout, retries=retries)
    return (root / name).read_bytes()


def in_turn(*faults):
    """The first requests fail so, the later ones do not."""
    return lambda number, path: faults[number] if number < len(faults) else ""


@pytest.mark.parametrize("fault", ["503", "429", "reset", "truncate", "stall", "no-range", "wrong-range", "416"])
@pytest.mark.parametrize("known", [{}, {"sha256": SHA256}])
def test_one_fault_costs_a_retry_and_no_byte(server, tmp_path, fault, known):
    first = "truncate" if fault in ("no-range", "wrong-range", "416") else fault
    server.fault = in_turn(*dict.fromkeys([first, fault]))
    assert get(server, tmp_path, timeout=0.3, **known) == DATA


def test_a_cut_transfer_goes_on_where_it_was_cut(server, tmp_path):
    server.fault = in_turn("truncate", "truncate")
    assert get(server, tmp_path) == DATA
    ranges = [int(re.fullmatch(r"bytes=(\d+)-", headers["Range"])[1]) for _, headers in server.asked[1:]]
    assert len(ranges) == 2
    assert 100_000 < ranges[0] <= 150_000
    assert 200_000 < ranges[1] <= 225_000
    assert all(headers["If-Range"].startswith('"') for _, headers in server.asked[1:])


def test_a_file_that_changed_meanwhile_is_fetched_from_the_start(server, tmp_path):
    server.fault = in_turn("truncate")
    other = DATA[::-1]

    def change(number, path):
        server.files["/x.bin"] = DATA if number == 0 else other
        return "truncate" if number == 0 else ""

    server.fault = change
    assert get(server, tmp_path) == other


@pytest.mark.parametrize("known", [{}, {"sha256": hashlib.sha256(DATA[::-1]).hexdigest()}])
def test_a_server_that_mixes_two_versions_is_not_believed(server, tmp_path, known):
    def change(number, path):
        server.files["/x.bin"] = DATA if number == 0 else DATA[::-1]
        return ("truncate", "ignores-if-range", "")[min(number, 2)]

    server.fault = change
    assert get(server, tmp_path, **known) == DATA[::-1]


def test_without_an_etag_nothing_is_resumed(server, tmp_path):
    server.validators = False
    server.fault = in_turn("truncate", "truncate")
    assert get(server, tmp_path) == DATA
    assert not any("Range" in headers for _, headers in server.asked)


def test_last_modified_serves_where_the_etag_is_weak(server, tmp_path):
    server.validators, server.headers = False, {"ETag": 'W/"x"', "Last-Modified": "Sun, 01 Mar 2020 00:00:00 GMT"}
    server.fault = in_turn("truncate")
    get(server, tmp_path)
    assert server.asked[1][1]["If-Range"] == "Sun, 01 Mar 2020 00:00:00 GMT"


def test_a_later_run_resumes_what_an_earlier_one_left(server, tmp_path):
    server.fault = lambda number, path: "truncate" if number == 0 else "503"
    with pytest.raises(DownloadError, match="HTTP 503"):
        get(server, tmp_path, retries=2)
    assert not (tmp_path / "x.bin").exists()
    server.fault = lambda number, path: ""
    assert get(server, tmp_path, sha256=SHA256) == DATA
    assert server.asked[-1][1]["Range"].startswith("bytes=1")
    assert len(server.asked) == 5


def test_damage_in_what_an_earlier_run_left_is_mended(server, tmp_path):
    server.fault = lambda number, path: "truncate" if number == 0 else "503"
    with pytest.raises(DownloadError):
        get(server, tmp_path, retries=0)
    partial = tmp_path / ".datakit/partial/x.bin"
    partial.write_bytes(bytes(partial.stat().st_size))
    server.fault = lambda number, path: ""
    assert get(server, tmp_path, sha256=SHA256) == DATA


def test_a_source_without_the_file_does_not_cost_what_another_one_sent(server, tmp_path):
    remote = Remote("x.bin", (f"{server.url}/x.bin", f"{server.url}/gone"), sha256=SHA256)
    server.fault = lambda number, path: "" if path == "/gone" else "truncate" if number == 0 else "503"
    with pytest.raises(DownloadError, match=r"HTTP 503(.|\n)*HTTP 404"):
        ensure([remote], tmp_path, download=True, progress=False, retries=1)
    server.fault = lambda number, path: ""
    get(server, tmp_path, sha256=SHA256)
    assert "Range" in server.asked[-1][1]


def test_what_one_source_sent_is_never_continued_from_another(server, tmp_path):
    server.files["/other"] = DATA[::-1]
    server.validators, server.headers = False, {"Last-Modified": "Sun, 01 Mar 2020 00:00:00 GMT"}
    server.fault = lambda number, path: "" if path == "/other" else "truncate" if number == 0 else "503"
    remote = Remote("x.bin", (f"{server.url}/x.bin", f"{server.url}/other"))
    ensure([remote], tmp_path, download=True, progress=False, retries=0)
    assert (tmp_path / "x.bin").read_bytes() == DATA[::-1]


@pytest.mark.parametrize("fault", ["503", "reset", "stall-at-once"])
def test_retries_end_and_the_error_says_what_happened(server, tmp_path, fault):
    server.fault = lambda number, path: fault
    if fault == "stall-at-once":
        server.fault = lambda number, path: time.sleep(0.5) or "reset"
    start = time.monotonic()
    with pytest.raises(DownloadError, match=r"x.bin: .*\n  http://127.*attempt 3 that(.|\n)*DATAKIT_MIRROR") as caught:
        get(server, tmp_path, retries=2, timeout=0.2)
    assert time.monotonic() - start < 5
    assert server.count("/x.bin") == 3
    assert str(tmp_path / "x.bin") in str(caught.value)


def test_attempts_that_bring_something_do_not_count(server, tmp_path):
    server.fault = lambda number, path: "truncate" if number < 3 else ""
    assert get(server, tmp_path, retries=0) == DATA


def test_attempts_that_always_start_anew_do_count(server, tmp_path):
    server.validators, server.fault = False, lambda number, path: "truncate"
    with pytest.raises(DownloadError, match="IncompleteRead"):
        get(server, tmp_path, retries=3)
    assert len(server.asked) == 5


@pytest.mark.parametrize("wish", ["1", "date"])
def test_retry_after_is_waited_for(server, tmp_path, wish):
    from email.utils import formatdate

    server.fault = lambda number, path: "429" if number == 0 else ""
    server.headers = {"Retry-After": formatdate(time.time() + 2, usegmt=True) if wish == "date" else wish}
    start = time.monotonic()
    assert get(server, tmp_path) == DATA
    assert 0.9 < time.monotonic() - start < 4


def test_no_retry_after_is_waited_for_longer_than_a_minute(server, tmp_path, monkeypatch):
    waited = []
    monkeypatch.setattr("datakit.files.http.time.sleep", waited.append)
    server.fault = lambda number, path: "503" if number < 3 else ""
    server.headers = {"Retry-After": "100000"}
    assert get(server, tmp_path) == DATA
    assert len(waited) == 3
    assert all(60 <= seconds < 61 for seconds in waited)


def test_pauses_grow_up_to_a_limit_and_differ(monkeypatch):
    pauses = [_pause(failures, 0.0) for failures in range(20)]
    assert all(low / 4 < high for low, high in itertools.pairwise(pauses))
    assert pauses[0] <= 0.5
    assert pauses[4] > 3.9
    assert max(pauses) <= LONGEST_PAUSE
    assert len(set(pauses)) == 20


def test_a_refusal_is_final_for_that_source(server, tmp_path):
    server.files.clear()
    with pytest.raises(DownloadError, match="HTTP 404 Not Found"):
        get(server, tmp_path)
    assert len(server.asked) == 1


def test_a_wrong_length_is_noticed_before_the_body(server, tmp_path):
    with pytest.raises(DownloadError, match="has 300000 bytes, expected 5"):
        get(server, tmp_path, size=5)
    server.fault = in_turn("", "no-length", "no-length")
    assert get(server, tmp_path, size=len(DATA)) == DATA


def test_compression_by_the_server_is_asked_not_to_be(server, tmp_path):
    server.fault = lambda number, path: "gzip"
    with pytest.raises(DownloadError, match="sends it as gzip, though asked not to"):
        get(server, tmp_path)
    assert server.asked[0][1]["Accept-Encoding"] == "identity"
    server.files["/x.gz"] = DATA
    assert get(server, tmp_path, "x.gz", path="/x.gz") == DATA


def test_a_redirect_is_followed(server, tmp_path):
    server.files["/there"] = DATA
    server.fault = lambda number, path: f">{server.url}/there" if path == "/x.bin" else ""
    assert get(server, tmp_path) == DATA


@pytest.mark.parametrize("target", ["/x.bin", "file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_a_redirect_that_leads_nowhere_is_an_error(server, tmp_path, target):
    server.fault = lambda number, path: f">{target}"
    with pytest.raises(DownloadError, match="redirects|adapters"):
        get(server, tmp_path)
    assert not list(tmp_path.glob("*.bin"))


@pytest.mark.parametrize("target", ["http://b/x", "//b/x", "/x", "https://b/x", "HTTP://b/x"])
def test_https_is_never_downgraded(target):
    response = requests.Response()
    response.status_code, response.url, response.headers["Location"] = 302, "https://a/x", target
    if target.lower().startswith("http:"):
        with pytest.raises(SourceError, match="which is not https"):
            stay_secure(response)
    else:
        stay_secure(response)


def test_every_session_stays_secure(server, tmp_path, monkeypatch):
    """The hook sees each response of a chain; here the first address is made to look like https."""
    seen = []
    monkeypatch.setattr("datakit.files.http.stay_secure", lambda response, **_: seen.append(response.status_code))
    server.files["/there"] = DATA
    server.fault = lambda number, path: ">/there" if path == "/x.bin" else ""
    get(server, tmp_path)
    assert seen == [302, 200]


def test_a_wrong_checksum_goes_on_to_the_next_source(server, tmp_path):
    server.files |= {"/bad": DATA[:-1] + b"!", "/good": DATA}
    remote = Remote("x.bin", (f"{server.url}/bad", f"{server.url}/good"), sha256=SHA256)
    ensure([remote], tmp_path, download=True, progress=False)
    assert (tmp_path / "x.bin").read_bytes() == DATA


@pytest.mark.parametrize("kind", ["sha256", "md5"])
def test_a_wrong_checksum_is_told_with_both_values_and_the_address(server, tmp_path, kind):
    found = hashlib.new(kind, DATA).hexdigest()
    want = "0" * len(found)
    with pytest.raises(DownloadError, match=f"{server.url}/x.bin: {kind} is {found}, expected {want}"):
        get(server, tmp_path, **{kind: want})
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["lock"]
    assert len(server.asked) == 1


def test_a_password_in_an_address_is_not_shown(server, tmp_path, capsys):
    url = server.url.replace("//", "//me:secret@")
    ensure([Remote("x.bin", (f"{url}/x.bin",))], tmp_path, download=True)
    assert server.asked[0][1]["Authorization"].startswith("Basic ")
    with pytest.raises(DownloadError) as caught:
        ensure([Remote("y.bin", (f"{url}/y.bin",))], tmp_path, download=True)
    kept = b"".join(path.read_bytes() for path in (tmp_path / ".datakit").rglob("*") if path.is_file())
    assert "secret" not in str(caught.value) + capsys.readouterr().err + kept.decode()


def test_progress_is_one_line_where_there_is_no_terminal(server, tmp_path, capsys):
    server.fault = in_turn("truncate")
    ensure([Remote("x.bin", (f"{server.url}/x.bin",))], tmp_path / "a", download=True)
    shown = capsys.readouterr()
    assert shown.err == f"downloading x.bin, 0.3 MB, from {server.url}/x.bin\n"
    assert shown.out == ""
    get(server, tmp_path / "b")
    assert capsys.readouterr().err == ""


def test_progress_is_a_bar_on_a_terminal(server, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    server.fault = in_turn("truncate", "no-range")
    ensure([Remote("x.bin", (f"{server.url}/x.bin",))], tmp_path, download=True)
    assert "x.bin: 100%" in capsys.readouterr().err


@pytest.mark.parametrize("files", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_a_third_of_all_requests_fail_and_no_byte_is_wrong(server, tmp_path, files):
    draw = random.Random(4)
    faults = ["503", "429", "reset", "truncate", "truncate", "stall", "no-range", "wrong-range", "416", "trickle"]
    plan = [draw.choice(faults) if draw.random() < 0.3 else "" for _ in range(2 * files + 100)]
    server.fault = lambda number, path: plan[number]
    server.stall_s = 0.3
    server.files = {f"/{number}": draw.randbytes(draw.randrange(120_000)) for number in range(files)}
    for path, data in server.files.items():
        known = {"sha256": hashlib.sha256(data).hexdigest()} if len(data) % 2 else {}
        remote = Remote(path[1:], (f"{server.url}{path}",), **known)
        fetched = fetch(remote, Place(tmp_path, remote.name), Patience(0.15, 9), progress=False)
        assert fetched.path.read_bytes() == data
    assert len(server.asked) > 1.2 * files
