"""Runs of references, honest ones and sabotaged ones."""

import tarfile
import zipfile

import pytest
import torch
from PIL import Image

from datakit.reference import History, find, train


@pytest.fixture(autouse=True)
def own_generator():
    """What a test seeds and draws is not seen by the next one."""
    with torch.random.fork_rng(devices=[]):
        yield


@pytest.fixture(autouse=True)
def large_files(monkeypatch):
    """To make the file of a picture as small as it can be takes longer than an epoch."""
    save = Image.Image.save
    quick = {"optimize": False, "compress_level": 1}
    monkeypatch.setattr(Image.Image, "save", lambda image, *to, **options: save(image, *to, **{**options, **quick}))


@pytest.fixture
def trained(tmp_path, one_thread, monkeypatch):
    """Train a reference, on its synthetic copy where `root` is None; two runs of a test go to folders of their own.

    Of one with a bug nothing is drawn: it is asked what it came to.
    """

    def run(name, bug=None, root=None, **options):
        cls = find(name) if bug is None else find(name).sabotaged(bug)
        if bug is not None:
            monkeypatch.setattr(cls, "learns", False)
            monkeypatch.setattr(cls, "pictures", lambda self, history: {})
        own = {key: options.pop(key) for key in ("seed", "num_workers", "options", "device") if key in options}
        out = options.pop("out", tmp_path / f"{name}-{bug}")
        return train(cls(root, **own), out, **options)

    return run


@pytest.fixture
def leaks(one_thread):
    """The check of a reference that its split leaks, before any training: it is no matter of learning."""

    def checked(name, bug):
        reference = find(name).sabotaged(bug)(None)
        reference.build()
        return reference.checks(History())[-1]

    return checked


@pytest.fixture
def few(monkeypatch):
    """Five scenes for detectors to learn from and one held out; no more than five objects are found in it."""
    from datakit.reference import detectors, penn_fudan

    scenes, scaled = penn_fudan.PennFudan.synthetic(n=6), detectors._scaled
    monkeypatch.setattr(detectors, "_scaled", lambda side: {**scaled(side), "box_detections_per_img": 5})
    monkeypatch.setattr(penn_fudan.PennFudan, "synthetic", lambda n: scenes)


@pytest.fixture(scope="session")
def said_digits(shared, tmp_path_factory):
    """The folder of 3,000 real recordings of digits."""
    return _extracted(shared / "free-spoken-digit-dataset.zip", zipfile.ZipFile, tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="session")
def said_words(shared, tmp_path_factory):
    """The folder of 60 real recordings of yes and no."""
    return _extracted(shared / "waves_yesno.tar.gz", tarfile.open, tmp_path_factory.mktemp("words"))


def _extracted(archive, opener, root):
    if not archive.exists():
        pytest.skip(f"{archive.name} is not among the real datasets")
    with opener(archive) as opened:
        opened.extractall(root, **({"filter": "data"} if opener is tarfile.open else {}))
    return root
