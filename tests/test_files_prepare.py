"""`ensure`: mirrors, files put there by hand, what is in the way, and nothing written where nothing is to be done."""

import errno
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest

from datakit.errors import CorruptDataError, DownloadError, MissingDataError
from datakit.files import Remote, ensure


@pytest.fixture(autouse=True)
def mirror(tmp_path, monkeypatch):
    """A folder that DATAKIT_MIRROR names."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    monkeypatch.setenv("DATAKIT_MIRROR", folder.as_uri())
    return folder


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


def pack(path, files):
    """Writes a zip or tar of {name: bytes}."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    else:
        with tarfile.open(path, "w:gz") as archive:
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))


def tree(root):
    """Every file under `root` but datakit's own."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and ".datakit" not in path.parts
    }


def own(root):
    """What datakit keeps in `root`."""
    return sorted(path.name for path in (root / ".datakit").rglob("*"))


def get(root, *remotes, **options):
    ensure(remotes, root, download=True, progress=False, **options)


FACES = {"faces/list.csv": b"a,b\n", "faces/1.jpg": b"\xff\xd8" * 99}
REMOTE = Remote("faces.zip", unpack=True, produces=("faces/list.csv",))


def test_an_archive_is_prepared_and_described(root, mirror):
    pack(mirror / "faces.zip", FACES)
    get(root, REMOTE)
    assert tree(root) == FACES
    assert own(root) == ["faces.zip.json", "lock"]
    data = (mirror / "faces.zip").read_bytes()
    assert json.loads((root / ".datakit/faces.zip.json").read_text()) == {
        "version": 1,
        "name": "faces.zip",
        "url": (mirror / "faces.zip").as_uri(),
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
        "files": [
            {"path": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in FACES.items()
        ],
    }


def test_files_in_folders_are_kept_or_unpacked_beside_themselves(root, mirror):
    (mirror / "MNIST/raw").mkdir(parents=True)
    (mirror / "MNIST/raw/x.gz").write_bytes(gzip.compress(b"idx"))
    (mirror / "MNIST/raw/y 1%.bin").write_bytes(b"plain")
    get(root, Remote("MNIST/raw/x.gz", unpack=True, produces=("MNIST/raw/x",)), Remote("MNIST/raw/y 1%.bin"))
    assert tree(root) == {"MNIST/raw/x": b"idx", "MNIST/raw/y 1%.bin": b"plain"}
    assert own(root) == ["MNIST%2Fraw%2Fx.gz.json", "MNIST%2Fraw%2Fy 1%25.bin.json", "lock"]


def test_the_real_datasets_come_from_their_mirror(root, shared, monkeypatch):
    monkeypatch.setenv("DATAKIT_MIRROR", shared.as_uri())
    get(
        root,
        Remote("faces.zip", unpack=True, produces=("faces/face_landmarks.csv",)),
        Remote("waves_yesno.tar.gz", unpack=True, produces=("waves_yesno",)),
        Remote("MNIST/raw/t10k-labels-idx1-ubyte.gz", md5="ec29112dd5afa0611ce80d1b7f02629c"),
    )
    assert len(list((root / "faces").iterdir())) == 70
    assert len(list((root / "waves_yesno").glob("*.wav"))) == 60
    assert (root / "MNIST/raw/t10k-labels-idx1-ubyte.gz").stat().st_size == 4542


def test_without_download_the_error_says_what_is_missing_where_and_what_to_do(root, monkeypatch):
    monkeypatch.chdir(root.parent)
    upstream = Remote("faces.zip", ("https://a/faces.zip",), unpack=True, produces=("faces/list.csv",))
    with pytest.raises(MissingDataError) as caught:
        ensure([upstream], "root")
    message = str(caught.value)
    assert f"faces/list.csv is missing under {root}: pass download=True" in message
    assert "unpack faces.zip there" in message
    assert "DATAKIT_MIRROR" in message
    with pytest.raises(MissingDataError, match=r"x.bin is missing .* put x.bin there"):
        ensure([Remote("x.bin")], "root")
    ensure([Remote("faces.zip", unpack=True)], "root")
    assert not root.exists()


def test_what_no_program_can_fetch_says_what_to_do_by_hand(root, monkeypatch):
    manual = "get img_align_celeba.zip from the CelebA page and put it under the root"
    celeba = Remote("img_align_celeba.zip", unpack=True, produces=("img_align_celeba",), manual=manual)
    with pytest.raises(DownloadError, match=f"no source delivered it\n  file://(.|\n)*{manual}"):
        get(root, celeba)
    monkeypatch.delenv("DATAKIT_MIRROR")
    with pytest.raises(DownloadError, match=f"no program can fetch it; {manual}"):
        get(root, celeba)
    with pytest.raises(MissingDataError, match=manual):
        ensure([celeba], root)
    pack(root / "img_align_celeba.zip", {"img_align_celeba/1.jpg": b"x"})
    with pytest.raises(MissingDataError, match=r"img_align_celeba.zip lies there, pass download=True"):
        ensure([celeba], root)
    get(root, celeba)
    assert tree(root)["img_align_celeba/1.jpg"] == b"x"


def test_an_archive_put_there_by_hand_is_verified_used_and_kept(root, monkeypatch):
    monkeypatch.delenv("DATAKIT_MIRROR")
    pack(root / "faces.zip", FACES)
    data = (root / "faces.zip").read_bytes()
    for wrong in ({"sha256": "0" * 64}, {"md5": "0" * 32}, {"size": 1}):
        with pytest.raises(CorruptDataError, match=f"^{root}/faces.zip: .* expected (0000|1)"):
            get(root, Remote("faces.zip", unpack=True, produces=("faces",), **wrong))
    assert tree(root) == {"faces.zip": data}
    right = {"sha256": hashlib.sha256(data).hexdigest(), "md5": hashlib.md5(data).hexdigest(), "size": len(data)}
    get(root, Remote("faces.zip", unpack=True, produces=("faces",), **right))
    assert tree(root) == {"faces.zip": data, **FACES}


def test_a_folder_put_there_by_hand_is_ready(root):
    (root / "faces").mkdir(parents=True)
    (root / "faces/list.csv").write_bytes(b"mine")
    ensure([REMOTE], root)
    get(root, REMOTE)
    assert tree(root) == {"faces/list.csv": b"mine"}
    assert not (root / ".datakit").exists()


@pytest.mark.parametrize("produces", [("faces/list.csv",), ()])
def test_a_hand_made_folder_is_never_touched(root, mirror, produces):
    pack(mirror / "faces.zip", FACES)
    (root / "faces").mkdir(parents=True)
    (root / "faces/mine.txt").write_bytes(b"mine")
    with pytest.raises(MissingDataError, match=f"{root}/faces is in the way .* move it away"):
        get(root, Remote("faces.zip", unpack=True, produces=produces))
    assert tree(root) == {"faces/mine.txt": b"mine"}
    shutil.rmtree(root / "faces")
    get(root, REMOTE)
    assert tree(root) == FACES


def test_a_hand_made_file_is_never_overwritten(root, mirror):
    pack(mirror / "both.zip", {"a.txt": b"ours", "b.txt": b"ours"})
    root.mkdir()
    (root / "b.txt").write_bytes(b"mine")
    both = Remote("both.zip", unpack=True, produces=("a.txt", "b.txt"))
    with pytest.raises(MissingDataError, match=f"{root}/b.txt is in the way"):
        get(root, both)
    assert tree(root) == {"b.txt": b"mine"}
    (root / "b.txt").write_bytes(b"ours")
    get(root, both)
    assert tree(root) == {"a.txt": b"ours", "b.txt": b"ours"}


@pytest.mark.parametrize("target", ["elsewhere", "nowhere"])
def test_a_symlink_in_the_way_is_not_followed(root, mirror, tmp_path, target):
    pack(mirror / "faces.zip", FACES)
    root.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/x").write_bytes(b"x")
    (root / "faces").symlink_to(tmp_path / target)
    with pytest.raises(MissingDataError, match=f"{root}/faces is in the way"):
        get(root, REMOTE)
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["x"]


def test_an_empty_folder_is_not_in_the_way(root, mirror):
    pack(mirror / "faces.zip", FACES)
    (root / "faces").mkdir(parents=True)
    get(root, REMOTE)
    assert tree(root) == FACES


def test_parts_of_one_corpus_share_their_folder(root, mirror):
    pack(mirror / "dev.tar.gz", {"Libri/README": b"same", "Libri/dev/1": b"1"})
    pack(mirror / "test.tar.gz", {"Libri/README": b"same", "Libri/test/2": b"2"})
    pack(mirror / "odd.tar.gz", {"Libri/README": b"other", "Libri/odd/3": b"3"})
    dev, test, odd = (
        Remote(f"{name}.tar.gz", unpack=True, produces=(f"Libri/{name}",)) for name in ("dev", "test", "odd")
    )
    get(root, dev, test)
    whole = {"Libri/README": b"same", "Libri/dev/1": b"1", "Libri/test/2": b"2"}
    assert tree(root) == whole
    with pytest.raises(MissingDataError, match="Libri/README is in the way"):
        get(root, odd)
    assert tree(root) == whole


@pytest.mark.parametrize("produces", [("faces/list.csv",), ()])
def test_what_was_deleted_is_prepared_again(root, mirror, produces):
    pack(mirror / "faces.zip", FACES)
    remote = Remote("faces.zip", unpack=True, produces=produces)
    get(root, remote)
    shutil.rmtree(root / "faces")
    if produces:
        with pytest.raises(MissingDataError, match="faces/list.csv is missing"):
            ensure([remote], root)
    get(root, remote)
    assert tree(root) == FACES
    (root / "faces/list.csv").unlink()
    if produces:
        get(root, remote)
        assert tree(root) == FACES


def test_an_archive_without_what_it_should_hold_is_refused(root, mirror):
    pack(mirror / "faces.zip", {"other/x": b"x"})
    with pytest.raises(CorruptDataError, match=r"faces.zip from file://.* but faces/list.csv is not in it"):
        get(root, REMOTE)
    pack(mirror / "faces.zip", {"empty/": b""})
    with pytest.raises(CorruptDataError, match="holds no files"):
        get(root, Remote("faces.zip", unpack=True))
    assert tree(root) == {}


# Mirrors and their checksums


def test_mirrors_are_tried_in_order_and_upstream_last(root, mirror, tmp_path, monkeypatch):
    second, upstream = tmp_path / "second", tmp_path / "up.bin"
    second.mkdir()
    monkeypatch.setenv("DATAKIT_MIRROR", f"{mirror.as_uri()}/ \n {second.as_uri()}")
    upstream.write_bytes(b"upstream")
    remotes = [Remote(f"{name}.bin", (upstream.as_uri(),)) for name in "abc"]
    (mirror / "a.bin").write_bytes(b"first")
    (second / "a.bin").write_bytes(b"second")
    (second / "b.bin").write_bytes(b"second")
    get(root, *remotes)
    assert tree(root) == {"a.bin": b"first", "b.bin": b"second", "c.bin": b"upstream"}


def test_a_mirror_that_is_no_address_is_named(root, monkeypatch):
    monkeypatch.setenv("DATAKIT_MIRROR", "/some/mirror")
    with pytest.raises(DownloadError, match="/some/mirror/x.bin: .*is no file://, http:// or https:// address"):
        get(root, Remote("x.bin"))


@pytest.mark.parametrize("style", ["{} *./sub/x.bin", "{}  sub/x.bin", "\\n# comment\\n{}  sub/x.bin\\r"])
def test_the_checksums_of_a_mirror_are_the_authority_for_it(root, mirror, tmp_path, style):
    (mirror / "sub").mkdir()
    (mirror / "sub/x.bin").write_bytes(b"subset")
    other = tmp_path / "upstream.bin"
    other.write_bytes(b"upstream")
    digest = hashlib.sha256(b"upstream").hexdigest()
    remote = Remote("sub/x.bin", (other.as_uri(),), sha256=digest, size=8)
    listed = style.replace("\\n", "\n").replace("\\r", "\r").format(hashlib.sha256(b"subset").hexdigest())
    (mirror / "SHA256SUMS").write_text(f"{'0' * 64}  x.bin\n{listed}\n{'0' * 64}  sub/x.bin.old\n")
    get(root, remote)
    assert tree(root) == {"sub/x.bin": b"subset"}
    (mirror / "SHA256SUMS").write_text(f"{'0' * 64}  sub/x.bin\n")
    get(root / "2", remote)
    assert tree(root / "2") == {"sub/x.bin": b"upstream"}
    (mirror / "SHA256SUMS").unlink()
    get(root / "3", remote)
    assert tree(root / "3") == {"sub/x.bin": b"upstream"}


def test_a_wrong_checksum_is_told(root, mirror):
    (mirror / "x.bin").write_bytes(b"data")
    found = hashlib.sha256(b"data").hexdigest()
    with pytest.raises(DownloadError, match=f"x.bin: sha256 is {found}, expected {'0' * 64}"):
        get(root, Remote("x.bin", sha256="0" * 64))
    assert tree(root) == {}
    assert own(root) == ["lock"]


# The disk


@pytest.mark.parametrize(
    "where",
    ["datakit.files.partial.Partial.write", "datakit.files.members._write_file", "datakit.files.place.json.dump"],
)
def test_a_full_disk_is_an_error_and_leaves_nothing(root, mirror, monkeypatch, where):
    pack(mirror / "faces.zip", FACES)

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(where, full)
        with pytest.raises(
            DownloadError, match=rf"{root}: cannot prepare faces.zip: .*No space left on device.* again"
        ):
            get(root, REMOTE)
    assert tree(root) == {}
    assert own(root) == ["lock"]
    get(root, REMOTE)
    assert tree(root) == FACES
    assert own(root) == ["faces.zip.json", "lock"]


def test_a_truly_full_disk_is_an_error_and_leaves_nothing(tmp_path, mirror):
    """With a limit on the size of files, which the system enforces in the middle of a write."""
    pack(mirror / "faces.zip", {"faces/list.csv": b"x", "faces/big": os.urandom(3 << 20)})
    code = """
import resource, signal, sys
from datakit.files import Remote, ensure
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
ensure([Remote("faces.zip", unpack=True, produces=("faces",))], sys.argv[1], download=True)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "root")], capture_output=True, text=True)
    assert "DownloadError" in done.stderr.splitlines()[-1]
    assert "File too large" in done.stderr
    assert tree(tmp_path / "root") == {}
    assert own(tmp_path / "root") == ["lock"]


def test_a_root_that_cannot_be_made_is_an_error_of_ours(root, mirror):
    pack(mirror / "faces.zip", FACES)
    root.write_bytes(b"a file")
    with pytest.raises(DownloadError, match=f"{root}: cannot prepare faces.zip: "):
        get(root, REMOTE)


AUDIT = """
import os, sys
from datakit.files import Remote, ensure
writes = []
def hook(event, args):
    if event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        writes.append((event, args))
    if event in ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.truncate",
                 "os.utime", "socket.connect", "subprocess.Popen", "os.system", "os.exec", "os.fork"):
        writes.append((event, args))
sys.addaudithook(hook)
for download in (False, True):
    ensure([Remote("faces.zip", unpack=True, produces=("faces/list.csv",)), Remote("any.zip", unpack=True)],
           sys.argv[1], download=download)
print(writes)
"""


def snapshot(root):
    return {path: (path.lstat().st_mtime_ns, path.lstat().st_ctime_ns) for path in [root, *root.rglob("*")]}


def test_a_prepared_root_is_only_read(root, mirror):
    pack(mirror / "faces.zip", FACES)
    pack(mirror / "any.zip", {"any/x": b"x"})
    get(root, REMOTE, Remote("any.zip", unpack=True))
    before = snapshot(root)
    done = subprocess.run([sys.executable, "-c", AUDIT, str(root)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""
    assert snapshot(root) == before
