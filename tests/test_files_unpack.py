"""Archives: good ones come out as `tarfile` and `zipfile` say, hostile and damaged ones leave nothing behind."""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import random
import stat
import subprocess
import sys
import tarfile
import warnings
import zipfile
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.errors import CorruptDataError
from datakit.files import Remote, ensure
from datakit.files.unpack import unpack


@pytest.fixture(autouse=True)
def _no_mirror(monkeypatch):
    monkeypatch.delenv("DATAKIT_MIRROR", raising=False)


def tar_bytes(*members, format=tarfile.GNU_FORMAT, mode="w"):
    """A tar of (name, contents or None for a folder, other attributes of the header)."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode=mode, format=format) as archive:
        for name, contents, *more in members:
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE if contents is None else tarfile.REGTYPE
            info.size = len(contents or b"")
            for key, value in (more[0] if more else {}).items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(contents or b""))
    return raw.getvalue()


def zip_bytes(*members, method=zipfile.ZIP_DEFLATED):
    """A zip of (name, contents, external attributes)."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a name that is there twice
        for name, contents, *mode in members:
            info = zipfile.ZipInfo("x")
            info.filename, info.compress_type, info.create_system = name, method, 3
            info.external_attr = (mode[0] if mode else 0o644) << 16
            archive.writestr(info, contents)
    return raw.getvalue()


def patched(data, at, new):
    return data[:at] + new + data[at + len(new) :]


def rechecked(tar, at=0):
    """A tar with the checksum of the header at `at` made right again."""
    header = tar[at : at + 148] + b" " * 8 + tar[at + 156 : at + 512]
    return patched(tar, at + 148, b"%06o\0 " % sum(header))


def tree(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
        if ".datakit" not in path.parts
    }


LONG = "long/" * 60 + "name.txt"
TAR_LINKS = {
    "symlink": (tarfile.SYMTYPE, "../../outside", "is a symlink"),
    "hard link": (tarfile.LNKTYPE, "/etc/passwd", "is a hard link"),
    "fifo": (tarfile.FIFOTYPE, "", "is a fifo"),
    "device": (tarfile.CHRTYPE, "", "is a device"),
    "block device": (tarfile.BLKTYPE, "", "is a device"),
}
NAMES = {
    "dot dot": ("a/../../evil", "leads out"),
    "absolute": ("/tmp/evil", "leads out"),
    "backslash": ("..\\evil", "leads out"),
    "drive": ("C:evil", "leads out"),
    "long part": ("x" * 256, "too long"),
    "long name": ("d/" * 2500 + "x", "too long"),
    "ours": (".datakit/faces.json", "datakit's own"),
    "ours in capitals": (".DataKit/lock", "datakit's own"),
}


def hostile():
    """(name of the archive, its bytes, what the message says)."""
    good = ("a/good.txt", b"good")
    for case, (kind, target, message) in TAR_LINKS.items():
        member = ("a/evil", b"", {"type": kind, "linkname": target})
        yield pytest.param("x.tar", tar_bytes(good, member), f"'a/evil': {message}", id=f"tar {case}")
    for case, (name, message) in NAMES.items():
        yield pytest.param("x.tar", tar_bytes(good, (name, b"evil")), message, id=f"tar {case}")
        yield pytest.param("x.zip", zip_bytes(good, (name, b"evil")), message, id=f"zip {case}")
    through = [("d", b"", {"type": tarfile.SYMTYPE, "linkname": ".."}), ("d/evil", b"evil")]
    loop = [
        ("a", b"", {"type": tarfile.SYMTYPE, "linkname": "b"}),
        ("b", b"", {"type": tarfile.SYMTYPE, "linkname": "a"}),
    ]
    yield pytest.param("x.tar", tar_bytes(*through), "'d': is a symlink", id="tar symlinked folder")
    yield pytest.param("x.tar", tar_bytes(*loop), "'a': is a symlink", id="tar symlink loop")
    for case, members, message in [
        ("duplicate", [good, good], "'a/good.txt': is there twice"),
        ("duplicate in disguise", [good, ("a/./good.txt", b"evil")], "is there twice"),
        ("case", [good, ("a/Good.txt", b"evil")], "'a/Good.txt': differs only by case from 'a/good.txt'"),
        ("case of a folder", [good, ("A/other.txt", b"evil")], "'A': differs only by case from 'a'"),
        ("file as a folder", [good, ("a/good.txt/evil", b"evil")], "is there twice"),
        ("folder as a file", [good, ("a", b"evil")], "is there twice"),
        ("root as a file", [good, (".", b"evil")], "is there twice"),
    ]:
        yield pytest.param("x.tar", tar_bytes(*members), message, id=f"tar {case}")
        yield pytest.param("x.zip", zip_bytes(*members), message, id=f"zip {case}")
    yield from hostile_tars(good)
    yield from hostile_zips(good)


def hostile_tars(good):
    tar = tar_bytes(good, ("a/b.txt", b"b" * 600))
    sparse = tar_bytes(("s", b"", {"pax_headers": {"GNU.sparse.major": "1"}}), format=tarfile.PAX_FORMAT)
    pax = tar_bytes(("s", b"", {"pax_headers": {"comment": "x"}}), format=tarfile.PAX_FORMAT)
    for case, data, message in [
        ("empty", b"", "cut short"),
        ("cut in a header", tar[:1200], "cut short"),
        ("cut between members", tar[:1024], "cut short"),
        ("cut in a member", tar[:1700], "cut short"),
        ("without its end", tar[:2560], "cut short"),
        ("damaged header", patched(tar, 1024 + 3, b"X"), "fails its checksum"),
        ("bad number", rechecked(patched(tar, 124, b"12345678x90\0")), "invalid literal"),
        ("something behind", tar + tar, "behind its end"),
        ("unknown kind", rechecked(patched(tar, 156, b"Z")), "unknown kind"),
        ("sparse", sparse, "is a sparse file"),
        ("old sparse", rechecked(patched(tar, 156, b"S")), "unknown kind"),
        ("damaged pax header", patched(pax, 512, b"99"), "pax header is damaged"),
        ("pax header that stands still", patched(pax, 512, b"0 "), "pax header is damaged"),
        ("huge extended header", rechecked(patched(pax, 124, b"77777777777\0")), "extended header has"),
        ("not a tar", b"<!DOCTYPE html>" * 100, "fails its checksum|invalid literal"),
    ]:
        yield pytest.param("x.tar", data, message, id=f"tar {case}")
    packed = gzip.compress(tar, mtime=0)
    for case, data, message in [
        ("cut short", packed[:-9], "ended before|cut short"),
        ("bad CRC", patched(packed, len(packed) - 8, b"\0\0\0\0"), "CRC check failed"),
        ("junk behind", packed + b"junk", "Not a gzipped file"),
        ("not packed", tar, "Not a gzipped file"),
    ]:
        yield pytest.param("x.tar.gz", data, message, id=f"tar.gz {case}")


def hostile_zips(good):
    data = zip_bytes(good, ("a/b.txt", b"b" * 600))
    directory = data.index(b"PK\1\2")
    second = data.index(b"PK\1\2", directory + 4)
    for case, kind, message in [
        ("symlink", stat.S_IFLNK, "'a/evil': is a symlink"),
        ("fifo", stat.S_IFIFO, "'a/evil': is neither a file nor a folder"),
        ("device", stat.S_IFCHR, "'a/evil': is neither a file nor a folder"),
        ("folder without a slash", stat.S_IFDIR, "'a/evil': is neither a file nor a folder"),
    ]:
        yield pytest.param("x.zip", zip_bytes(good, ("a/evil", b"..", kind)), message, id=f"zip {case}")
    nul = data.replace(b"a/b.txt", b"a/b\0txt")
    for case, bad, message in [
        ("NUL", nul, "has a NUL"),
        ("empty name", data.replace(b"a/b.txt", b"\0/b.txt"), "empty or has a NUL"),
        ("encrypted", patched(data, directory + 8, b"\1"), "is encrypted; unpack the archive by hand"),
        ("lzma", zip_bytes(good, method=zipfile.ZIP_LZMA), "compressed by method 14"),
        ("folder with contents", data.replace(b"a/b.txt", b"a/b.tx/"), "folder with contents"),
        ("bad CRC", patched(data, directory + 16, b"\0\0\0\0"), "Bad CRC-32"),
        ("size that lies", patched(data, second + 24, b"\7\0\0\0"), "Bad CRC-32"),
        ("size too large", patched(data, second + 24, b"\7\7\0\0"), "has 600 bytes, not the 1799"),
        ("cut short", data[:-30], "no zip archive, or it is cut short"),
        ("cut at the front", data[20:], "lies outside of the archive"),
        ("damaged directory", patched(data, directory, b"XX"), "directory is damaged"),
        ("wrong count", data[:-14] + b"\1\0\1\0" + data[-10:], "directory is damaged"),
        ("empty", b"", "no zip archive"),
        ("not a zip", b"<!DOCTYPE html>" * 100, "no zip archive"),
    ]:
        yield pytest.param("x.zip", bad, message, id=f"zip {case}")


@pytest.mark.parametrize(("name", "data", "message"), list(hostile()))
def test_a_hostile_archive_is_refused_and_leaves_nothing(tmp_path, name, data, message):
    mirror, root = tmp_path / "mirror", tmp_path / "up" / "root"
    mirror.mkdir()
    (mirror / name).write_bytes(data)
    before = tree(tmp_path)
    with pytest.raises(CorruptDataError, match=message) as caught:
        ensure([Remote(name, (mirror.joinpath(name).as_uri(),), unpack=True)], root, download=True, progress=False)
    assert str(caught.value).startswith(f"{name}: ")
    assert len(str(caught.value)) < 400
    assert tree(tmp_path) == {**before, "up": None, "up/root": None}
    assert [path.name for path in (root / ".datakit").rglob("*") if path.is_file()] == ["lock"]


def _xz_that_wants_memory():
    data = bytearray(lzma.compress(b"x" * 100))
    data[16] = 37  # the dictionary's size in the block header: 1.5 GiB
    data[20:24] = zlib.crc32(data[12:20]).to_bytes(4, "little")
    return bytes(data)


SINGLES = {
    "gz": gzip.compress(b"data" * 999, mtime=0),
    "xz": lzma.compress(b"data" * 999),
    "bz2": bz2.compress(b"data" * 999),
}


@pytest.mark.parametrize("kind", SINGLES)
def test_a_single_file_is_unpacked_beside_itself(tmp_path, kind):
    path = tmp_path / "in"
    path.write_bytes(SINGLES[kind] * 2 + b"\0" * 8)
    (tmp_path / "out").mkdir()
    (file,) = unpack(path, f"sub/x.{kind}", tmp_path / "out")
    assert tree(tmp_path / "out") == {"sub": None, "sub/x": b"data" * 999 * 2}
    assert file == ("sub/x", 4 * 999 * 2, hashlib.sha256(b"data" * 999 * 2).hexdigest())


@pytest.mark.parametrize(
    ("name", "data"),
    [
        *((f"x.{kind}", data[:-5]) for kind, data in SINGLES.items()),
        *((f"x.{kind}", data + b"junk, and a lot of it") for kind, data in SINGLES.items()),
        *((f"x.{kind}", b"no such thing" * 10) for kind in SINGLES),
        ("x.gz", patched(SINGLES["gz"], len(SINGLES["gz"]) - 8, b"\0\0\0\0")),
        ("x.xz", patched(SINGLES["xz"], 40, b"\0\0\0\0")),
        ("x.bz2", patched(SINGLES["bz2"], 40, b"\0\0\0\0")),
        ("x.xz", _xz_that_wants_memory()),
    ],
)
def test_a_damaged_single_file_is_refused_by_name(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    (tmp_path / "out").mkdir()
    with pytest.raises(CorruptDataError, match=f"^{name}: "):
        unpack(tmp_path / name, name, tmp_path / "out")


def test_only_plain_permissions_are_given(tmp_path):
    mode = {"mode": 0o6777, "uid": 12345}
    (tmp_path / "x.tar").write_bytes(tar_bytes(("d", None, mode), ("d/f", b"#!", mode)))
    (tmp_path / "out").mkdir()
    old = os.umask(0)
    try:
        unpack(tmp_path / "x.tar", "x.tar", tmp_path / "out")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "out/d").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "out/d/f").stat().st_mode) == 0o644
    assert (tmp_path / "out/d/f").stat().st_uid == os.getuid()


part = st.text(
    st.characters(codec="utf-8", exclude_characters="/\\\0:", exclude_categories=["Cs"]), min_size=1, max_size=40
)
good_name = st.lists(
    part.filter(lambda p: p.strip(". ") and p == p.lower() == p.lower().lower() and p != ".datakit"),
    min_size=1,
    max_size=6,
).map("/".join)


@given(
    st.dictionaries(good_name, st.binary(max_size=1500), max_size=6),
    st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, "zip"]),
    st.sampled_from(["", ".gz", ".xz", ".bz2"]),
)
@settings(max_examples=80, deadline=None)
def test_what_the_standard_library_packs_comes_out_the_same(tmp_path_factory, files, format, compression):
    names = sorted(files)
    kept = [n for n in names if not any(o.startswith(n + "/") for o in names) and not n.startswith(".datakit")]
    if format == tarfile.USTAR_FORMAT:
        kept = [name for name in kept if len(name.encode()) <= 100]
    folder = tmp_path_factory.mktemp("pack")
    members = [(name, files[name]) for name in kept]
    name = "x.zip" if format == "zip" else f"x.tar{compression}"
    data = zip_bytes(*members) if format == "zip" else tar_bytes(*members, format=format, mode=f"w:{compression[1:]}")
    (folder / name).write_bytes(data)
    (folder / "out").mkdir()
    written = unpack(folder / name, name, folder / "out")
    found = {path: data for path, data in tree(folder / "out").items() if data is not None}
    assert found == {name: files[name] for name in kept}
    assert {file.path: (file.size, file.sha256) for file in written} == {
        name: (len(files[name]), hashlib.sha256(files[name]).hexdigest()) for name in kept
    }


def test_long_names_leading_dots_and_large_numbers_are_read(tmp_path):
    tar = tar_bytes((".", None), ("./a/", None), (f"./a/{LONG}", b"1"), ("b", b"22"))
    at = tar.index(b"b\0\0\0", 1024)
    tar = rechecked(patched(tar, at + 124, b"\x80" + b"\0" * 10 + b"\2"), at)
    (tmp_path / "x.tar").write_bytes(tar)
    (tmp_path / "out").mkdir()
    files = unpack(tmp_path / "x.tar", "x.tar", tmp_path / "out")
    assert [(file.path, file.size) for file in files] == [(f"a/{LONG}", 1), ("b", 2)]


@pytest.mark.parametrize("name", ["faces.zip", "waves_yesno.tar.gz", "librispeech-one-utterance.tar.gz", "data.zip"])
def test_real_archives_come_out_as_the_standard_library_reads_them(shared, tmp_path, name):
    written = {file.path: file.sha256 for file in unpack(shared / name, name, tmp_path)}
    if name.endswith("zip"):
        with zipfile.ZipFile(shared / name) as archive:
            truth = {info.filename: archive.read(info) for info in archive.infolist() if not info.is_dir()}
    else:
        with tarfile.open(shared / name) as archive:
            truth = {info.name: archive.extractfile(info).read() for info in archive if info.isreg()}
    assert written == {name: hashlib.sha256(data).hexdigest() for name, data in truth.items()}
    assert all((tmp_path / name).read_bytes() == data for name, data in truth.items())


MUTANTS = {
    "x.zip": zip_bytes(("a/b.txt", b"hello" * 50), ("c", b"world")),
    "x.tar": tar_bytes((LONG, b"hello" * 50), ("c", b"world"), format=tarfile.PAX_FORMAT),
    "x.tar.gz": tar_bytes(("a/b.txt", b"hello" * 50), ("c", b"world"), mode="w:gz"),
    "x.tar.xz": tar_bytes(("a/b.txt", b"hello" * 50), ("c", b"world"), mode="w:xz"),
    "x.tar.bz2": tar_bytes(("a/b.txt", b"hello" * 50), ("c", b"world"), mode="w:bz2"),
}


def _fuzz(folder, name, rounds):
    random_ = random.Random(name)
    for number in range(rounds):
        data = bytearray(MUTANTS[name])
        for _ in range(random_.choice((1, 1, 2, 5))):
            data[random_.randrange(len(data))] = random_.choice((0, 1, 0x7F, 0x80, 0xFF, random_.randrange(256)))
        if random_.random() < 0.2:
            del data[random_.randrange(len(data)) :]
        (folder / name).write_bytes(data)
        into = folder / f"{number}"
        into.mkdir()
        try:
            unpack(folder / name, name, into)
        except CorruptDataError:
            continue


@pytest.mark.parametrize("name", MUTANTS)
def test_damage_of_any_kind_raises_only_our_error(tmp_path, name):
    _fuzz(tmp_path, name, 400)


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS)
def test_much_damage_of_any_kind_raises_only_our_error(tmp_path, name):
    _fuzz(tmp_path, name, 10_000)


# Archives that would fill memory, disk or time: each in a process of its own, so that its memory can be measured.

MEASURE = """
import json, sys, time
from pathlib import Path
from datakit.errors import CorruptDataError
from datakit.files.unpack import unpack

def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))

path, into = Path(sys.argv[1]), Path(sys.argv[2])
base, start = peak(), time.process_time()
try:
    unpack(path, path.name, into)
    message = ""
except CorruptDataError as error:
    message = str(error)
print(json.dumps([message, time.process_time() - start, (peak() - base) / 1024]))
"""


def measure(path):
    """The message, seconds of processor time, MiB of memory and bytes that remained of unpacking `path`."""
    into = path.parent / "out"
    into.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path), str(into)], capture_output=True, text=True, check=True
    )
    message, seconds, mebibytes = json.loads(done.stdout)
    print(f"{path.name}: {seconds:.2f} s, {mebibytes:.0f} MiB: {message}")
    return message, seconds, mebibytes, sum(path.stat().st_size for path in into.rglob("*") if path.is_file())


def million_headers():
    """Blocks of a tar's headers for a million empty files, all different."""
    header = bytearray(tar_bytes(("d/f000000000", b""))[:512])
    base = sum(header[:148]) + sum(header[156:]) + 8 * 32 - 9 * 48
    for thousand in range(1000):
        block = bytearray()
        for number in range(thousand * 1000, thousand * 1000 + 1000):
            header[3:12] = digits = b"%09d" % number
            header[148:154] = b"%06o" % (base + sum(digits))
            block += header
        yield bytes(block)


def million_member_tar(path):
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.writelines(million_headers())
        file.write(bytes(10240))


def million_member_zip(path, count=1_000_000):
    record = zip_bytes(("f000000000", b""))
    start, end = record.index(b"PK\1\2"), record.index(b"PK\5\6")
    head, tail = record[start : start + 46], record[start + 56 : end]
    directory = b"".join(head + b"f%09d" % number + tail for number in range(1_000_000))
    counts = (min(count, 65535).to_bytes(2, "little")) * 2
    with open(path, "wb") as file:
        file.write(record[:start] + directory)
        if count > 65535:
            at = file.tell()
            file.write(b"PK\6\6" + (44).to_bytes(8, "little") + b"\x2d\0\x2d\0" + bytes(8))
            file.write(
                count.to_bytes(8, "little") * 2 + len(directory).to_bytes(8, "little") + start.to_bytes(8, "little")
            )
            file.write(b"PK\6\7" + bytes(4) + at.to_bytes(8, "little") + b"\1\0\0\0")
        file.write(
            b"PK\5\6" + bytes(4) + counts + len(directory).to_bytes(4, "little") + start.to_bytes(4, "little") + b"\0\0"
        )


def bomb(path):
    """A gigabyte of zeros, and more, in a megabyte or less."""
    zeros = bytes(16 << 20)
    if path.name == "x.zip":  # overlapping members
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("0", zeros)
            for number in range(1, 500):
                archive.filelist.append(copied := zipfile.ZipInfo(str(number)))
                first = archive.filelist[0]
                copied.file_size, copied.compress_size, copied.CRC = first.file_size, first.compress_size, first.CRC
                copied.header_offset, copied.compress_type = 0, zipfile.ZIP_DEFLATED
            archive._didModify = True
        return
    pack = {"gz": gzip.compress, "xz": lzma.compress, "bz2": bz2.compress}[path.name.rpartition(".")[2]]
    header = {
        "honest.tar.gz": tar_bytes(("x", b""), ("y", b""))[:1024],
        "extended.tar.gz": tar_bytes(("x" * 101, b""))[:512],
        "behind.tar.bz2": tar_bytes(("x", b"")),
    }.get(path.name, b"")
    if path.name == "honest.tar.gz":
        header = rechecked(patched(header, 512 + 124, b"77777777777\0"), 512)
    if path.name == "extended.tar.gz":
        header = rechecked(patched(header, 124, b"10000000000\0"))
    path.write_bytes(pack(header) + pack(zeros) * 70)


def deep_tar(path):
    """A few thousand members that mean millions of folders."""
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for number in range(4000):
            archive.addfile(tarfile.TarInfo(f"{number}/" + "d/" * 480 + "x"))


def many_folders_tar(path):
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for number in range(20_000):
            archive.addfile(tarfile.TarInfo(f"{number}/" + "d/" * 40 + "x"))


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("x.tar.gz", million_member_tar, "more than 500,000 members"),
        ("x.zip", million_member_zip, "more than 500,000 members"),
        ("liar.zip", lambda path: million_member_zip(path, 7), "more than 500,000 members"),
        ("deep.tar.gz", deep_tar, "its names have more than 50,331,648 characters"),
        ("many.tar.gz", many_folders_tar, "more than 500,000 members"),
        *((name, bomb, "more bytes than an honest archive") for name in ("x.gz", "x.xz", "x.bz2", "x.zip")),
        ("honest.tar.gz", bomb, "more bytes than an honest archive"),
        ("behind.tar.bz2", bomb, "more bytes than an honest archive"),
        ("extended.tar.gz", bomb, "an extended header has 1,073,741,824 bytes"),
    ],
)
def test_an_archive_that_would_fill_everything_is_refused_soon(tmp_path, name, make, message):
    make(tmp_path / name)
    found, seconds, mebibytes, left = measure(tmp_path / name)
    assert message in found
    assert seconds < 5.0
    assert mebibytes < 512
    assert left <= 200 * (tmp_path / name).stat().st_size + (64 << 20)
