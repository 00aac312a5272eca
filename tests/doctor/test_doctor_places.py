"""Folders, mirrors, disks and codecs that are as they should be, and that are not."""

import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from datakit.doctor.child import Outcome
from datakit.doctor.codec_checks import codec_checks
from datakit.doctor.examine import _folders
from datakit.doctor.imports_probe import pillow, pycocotools, soundfile, tokenizers
from datakit.doctor.material import FRAMES, RATE, wave
from datakit.doctor.places import Folder, disk_check, folder_check, mirror_checks, read_folder
from datakit.doctor.sizes import SIZES

GB = 10**9


def folder(**what):
    usual = {"path": Path("data"), "exists": True, "base": Path("/disk"), "is_writable": True, "free": 50 * GB}
    return Folder(**{**usual, "inodes": 10**6, "kind": "ext4", **what})


def remote(name, is_there=False, size=None):
    return {"name": name, "size": size, "is_there": is_there}


# --- folders


def test_a_folder_is_read_as_df_reads_it(tmp_path):
    found = read_folder(tmp_path / "not" / "yet")
    assert (found.exists, found.base, found.is_writable) == (False, tmp_path, True)
    run = ["df", "-B1", "--output=avail,fstype", tmp_path]
    available, kind = subprocess.run(run, capture_output=True, text=True, check=True).stdout.split()[-2:]
    assert abs(found.free - int(available)) < GB  # others write meanwhile
    assert found.kind == kind
    assert not (tmp_path / "not").exists()
    (tmp_path / "file").touch()
    assert [read_folder(tmp_path / name).is_file for name in ("file", "file/below", "not")] == [True, True, False]


def test_the_file_system_is_that_of_the_longest_mount(tmp_path):
    (tmp_path / "mounts").write_text(
        f"/dev/sda / ext4 rw 0 0\nserver:/x {tmp_path} nfs4 rw 0 0\nx {tmp_path}x tmpfs rw 0 0\n"
    )
    assert read_folder(tmp_path / "a", tmp_path / "mounts").kind == "nfs4"
    assert read_folder(Path("/"), tmp_path / "mounts").kind == "ext4"
    assert read_folder(tmp_path, tmp_path / "no").kind == ""


@pytest.mark.parametrize(
    ("what", "status", "found"),
    [
        ({}, "ok", "50 GB free"),
        ({"exists": False}, "ok", "made when it is needed"),
        ({"is_writable": False}, "broken", "not writable"),
        ({"is_writable": False, "exists": False}, "broken", "is not there, and /disk is not writable"),
        ({"free": 10**6}, "warning", "1 MB free"),
        ({"inodes": 0}, "warning", "50 GB free"),
        ({"kind": "nfs4"}, "note", "on nfs4"),
        ({"is_file": True}, "broken", "is no folder"),
    ],
)
def test_folders_that_are_written_to(tmp_path, what, status, found):
    check = folder_check("cache", folder(path=tmp_path, **what), "DATAKIT_CACHE", "copies are kept there")
    assert check.status == status
    assert found in check.found
    assert (status == "ok") == (not check.fix)
    assert status == "ok" or check.fix.startswith("export DATAKIT_CACHE=")


# --- mirrors


def mirror(address, **options):
    (check,) = mirror_checks({"DATAKIT_MIRROR": address}, options.get("network", False), 2.0)
    return check


def test_a_folder_as_a_mirror(tmp_path):
    check = mirror(tmp_path.as_uri())
    assert (check.status, "sha256sum" in check.fix) == ("note", True)
    (tmp_path / "a b.zip").write_text("a")
    (tmp_path / "MNIST").mkdir()
    (tmp_path / "MNIST" / "c.gz").write_text("c")
    subprocess.run(check.fix, shell=True, check=True)  # the remedy makes what datakit reads
    from datakit.files.sources import _listed

    assert _listed(tmp_path / "SHA256SUMS", "a b.zip")
    assert _listed(tmp_path / "SHA256SUMS", "MNIST/c.gz")
    assert mirror(tmp_path.as_uri()).status == "ok"


@pytest.mark.parametrize(
    ("address", "found", "fix"),
    [
        ("/{folder}", "is no address", "export DATAKIT_MIRROR=file:///{folder}"),
        ("file://{folder}", "a path needs three slashes", "export DATAKIT_MIRROR=file:///{folder}"),
        ("file:///no/such/folder", "there is no folder /no/such/folder", "unset DATAKIT_MIRROR"),
        ("example.org/data", "is no address", "export DATAKIT_MIRROR=https://example.org/data"),
        ("htp://example.org/data", "is no address", "export DATAKIT_MIRROR=https://example.org/data"),
        ("s3://bucket/data", "is no address", "https://bucket/data"),
        ("https:///data", "names no machine", "https://host/folder"),
    ],
)
def test_mirrors_that_are_typed_wrongly(tmp_path, address, found, fix):
    inside = str(tmp_path).lstrip("/")
    check = mirror(address.format(folder=inside))
    assert check.status == "broken"
    assert found in check.found
    assert fix.format(folder=inside) in check.fix


def test_what_cannot_be_made_writable_is_not_proposed_to_be():
    found = read_folder(Path("/proc/datakit"))
    assert (found.is_fixed, found.is_writable) == (True, False)
    check = folder_check("cache", found, "DATAKIT_CACHE", "copies")
    assert (check.status, check.fix) == ("broken", "export DATAKIT_CACHE=/a/folder/of/yours")
    closed = folder_check("cache", folder(is_writable=False, exists=False), "DATAKIT_CACHE", "copies")
    assert "sudo mkdir -p data && sudo chown" in closed.fix


def test_a_tmpdir_that_is_there_is_not_proposed_to_be_made(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.gettempdir", lambda: "/tmp")
    fixes = {}
    for asked in (tmp_path / "no", Path("/proc")):
        monkeypatch.setenv("TMPDIR", str(asked))
        fixes[asked.name] = next(check.fix for check in _folders(os.environ) if check.name == "TMPDIR")
    assert fixes == {"no": f"mkdir -p {tmp_path / 'no'}", "proc": "export TMPDIR=/a/folder/of/yours"}


def test_an_address_is_asked_only_with_network():
    class Answers(BaseHTTPRequestHandler):
        def do_HEAD(self):
            asked.append(self.path)
            self.send_response(404 if self.path.startswith("/good") else 403)
            self.end_headers()

        def log_message(self, *_):
            pass

    asked = []
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://user:secret@127.0.0.1:{server.server_port}"
        quiet = mirror(f"{address}/good")
        assert (quiet.status, asked) == ("ok", [])
        assert "secret" not in quiet.found
        plain = f"http://127.0.0.1:{server.server_port}"
        assert mirror(f"{plain}/good/", network=True).status == "ok"
        assert asked == ["/good/SHA256SUMS"]
        assert "403" in mirror(f"{plain}/bad", network=True).found
        server.shutdown()
    assert "does not answer" in mirror(f"{plain}/good", network=True).found


def test_proxies_and_several_mirrors(tmp_path):
    environment = {"DATAKIT_MIRROR": f"{tmp_path.as_uri()} https://example.org", "HTTPS_PROXY": "me:pw@proxy:3128"}
    found = list(mirror_checks(environment, False, 1.0))
    assert [check.name for check in found] == ["mirror", "mirror", "proxy"]
    assert (found[2].status, found[2].fix) == ("warning", "export https_proxy=http://me:pw@proxy:3128")
    assert "pw" not in found[2].found
    assert next(mirror_checks({"http_proxy": "http://me:pw@proxy"}, False, 1.0)).status == "ok"
    assert list(mirror_checks({}, False, 1.0)) == []


# --- the disk


@pytest.mark.parametrize(
    ("what", "remotes", "status", "found"),
    [
        ({}, [], "ok", "50 GB free in /disk"),
        ({}, [remote("dev-clean.tar.gz")], "ok", "librispeech needs about 698 MB more"),
        ({"free": 10**8}, [remote("dev-clean.tar.gz")], "broken", "698 MB"),
        ({"free": 10**8}, [remote("dev-clean.tar.gz", is_there=True)], "ok", "100 MB free"),
        ({}, [remote("unheard-of.zip")], "ok", "of 1 file the size is not known"),
        ({"free": 10**8}, [remote("mine.zip", size=10**8)], "broken", "about 200 MB"),
        ({"is_writable": False}, [remote("faces.zip")], "broken", "not writable"),
        ({"is_writable": False}, [remote("faces.zip", is_there=True)], "ok", "free"),
        ({"inodes": 50}, [], "warning", "50 inodes"),
        ({"kind": "fuse.sshfs"}, [], "note", "on fuse.sshfs"),
    ],
)
def test_the_space_for_a_dataset(what, remotes, status, found):
    check = disk_check(folder(**what), remotes, "librispeech")
    assert check.status == status
    assert found in check.found


def test_sizes_are_near_those_of_the_real_archives(shared):
    for name in (
        "faces.zip",
        "waves_yesno.tar.gz",
        "free-spoken-digit-dataset.zip",
        "MNIST/raw/train-images-idx3-ubyte.gz",
    ):
        assert 0.8 < SIZES[name][0] / (shared / name).stat().st_size < 1.3


def test_every_file_of_the_catalog_has_a_size_but_those_of_which_there_are_many_versions():
    from datakit import catalog

    needed = {remote.name for name in catalog.BUILT_IN for remote in catalog.find(name).remotes_of(None)}
    assert needed - SIZES.keys() == {"common-voice.tar.gz"}
    assert SIZES.keys() <= needed | {"free-spoken-digit-dataset.zip"}


# --- codecs


def test_the_real_codecs_work():
    outcomes = {"pillow": Outcome("returned", pillow()), "soundfile": Outcome("returned", soundfile())}
    assert [check.status for check in codec_checks(outcomes)] == ["ok", "ok"]
    assert pycocotools()
    assert tokenizers()


def test_the_tiny_sound_is_one():
    import io

    import soundfile as sf

    values, rate = sf.read(io.BytesIO(wave()), dtype="int16")
    assert (len(values), rate) == (FRAMES, RATE)
    assert (values.min(), values.max()) == (-10_000, 9_500)


def codecs(pictures=None, sounds=None, turbo="3.1", library="1.2.2"):
    fine = dict.fromkeys(("JPEG", "PNG", "WEBP", "TIFF"), "")
    heard = dict.fromkeys(("WAV", "FLAC", "OGG", "MP3"), "")
    found = {
        "pillow": Outcome(
            "returned", {"version": "12", "formats": {**fine, **(pictures or {})}, "libjpeg_turbo": turbo}
        ),
        "soundfile": Outcome("returned", {"libsndfile": library, "formats": {**heard, **(sounds or {})}}),
    }
    return list(codec_checks(found))


@pytest.mark.parametrize(
    ("what", "pictures", "sounds"),
    [
        ({}, "ok", "ok"),
        ({"pictures": {"JPEG": "encoder jpeg not available"}}, "broken", "ok"),
        ({"pictures": {"AVIF": "AVIF"}}, "note", "ok"),
        ({"turbo": None}, "warning", "ok"),
        ({"sounds": {"MP3": "Format not recognised"}, "library": "1.0.31"}, "ok", "warning"),
        ({"sounds": {"FLAC": "no"}}, "ok", "broken"),
    ],
)
def test_codecs_that_are_missing(what, pictures, sounds):
    found = codecs(**what)
    assert [check.status for check in found] == [pictures, sounds]
    assert all(check.fix for check in found if check.status != "ok")
    assert "1.1.0" in found[1].why or what.get("library") is None


def test_decoders_that_were_not_tried_are_not_broken():
    untried = Outcome("raised", error="not tried: numpy does not import")
    found = list(codec_checks({"pillow": untried, "soundfile": untried}))
    assert [check.status for check in found] == ["note", "note"]


def test_decoders_that_do_not_import():
    lost = Outcome(
        "raised", error="raises OSError: sndfile library not found", kind="OSError", text="sndfile library not found"
    )
    found = list(codec_checks({"pillow": Outcome("died", error="dies with SIGILL"), "soundfile": lost}))
    assert [check.status for check in found] == ["broken", "broken"]
    assert "apt-get install libsndfile1" in found[1].fix
