"""All defects at once are all found, and clean datasets stay clean."""

import planted_code as planted
import pytest
import torch
import torchvision
from torchvision.transforms import v2

from datakit import Loader, Mapped, Subset, audio, catalog, collate, text
from datakit.check import code, growth
from datakit.check.code import code_findings
from datakit.transforms import (
    FACE68_PAIRS,
    CenterCrop,
    ColorJitter,
    Compose,
    Encode,
    Gain,
    MelSpectrogram,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    Rescale,
    ToTensor,
)
from datakit.vision import MNIST, ImageFolder

IMAGENET = Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def serious(dataset, loader=None):
    return [one for one in code_findings(dataset, loader) if one.severity != "note"]


@pytest.mark.usefixtures("_soon")
def test_all_defects_are_found_in_company(tmp_path):
    path = tmp_path / "records.bin"
    path.write_bytes(bytes(planted.N * 10_000))
    dataset = planted.Everything(path)
    findings = list(code_findings(dataset))
    dataset.file.close()
    kinds = {finding.kind for finding in findings}
    assert kinds == {
        "split-folders", "generator", "memory", "unpicklable", "chain", "impure", "normalized", "drift", "missing-key",
        "ignores-key", "handle", "batch",
    }  # fmt: skip
    texts = [finding.text for finding in findings]
    for part in (
        "dataset.transform.transforms[0].rng is a numpy.random.Generator",
        "dataset.files is a list of 150,000 entries",
        "dataset.transform.transforms[9] is a lambda",
        "fails_for_some fails for 4 of 40 samples",
        "different samples as loaded, in 36 of 40",
        "divided by 255 twice",
        "the channels of image differ",
        "the type of value differs",
        "have no extra",
        "reseeds_numpy seeds numpy.random with a constant",
        f"dataset.file (BufferedReader of {path}) is open",
        "grows by",
    ):
        assert any(part in one for one in texts), part
    assert all(finding.why and finding.hint for finding in findings)


@pytest.fixture
def _soon(monkeypatch):
    """A shorter look at the memory, and no process started anew: that takes seconds, and has tests of its own."""
    monkeypatch.setattr(growth, "_SECONDS", 2.0)
    monkeypatch.setattr(growth, "_EARLY", 0.5)
    monkeypatch.setattr(code._Check, "_elsewhere", lambda self: ())


@pytest.mark.usefixtures("_soon")
def test_a_synthetic_copy_is_clean():
    chain = Compose([Rescale(72), CenterCrop(64), RandomHorizontalFlip(), ToTensor(), IMAGENET])
    assert serious(catalog.find("faces").synthetic(n=24, transform=chain)) == []


def pair(item):
    return {"image": item[0], "label": item[1]}


@pytest.mark.usefixtures("_soon")
def test_somebody_elses_dataset_is_clean(tmp_path):
    for index in range(12):
        folder = tmp_path / ("a" if index % 2 else "b")
        folder.mkdir(exist_ok=True)
        torchvision.io.write_png(torch.as_tensor(planted.picture(index)).permute(2, 0, 1), f"{folder}/{index}.png")
    chain = Compose([v2.RandomResizedCrop(16), v2.ColorJitter(0.2), ToTensor()])
    dataset = Mapped(torchvision.datasets.ImageFolder(str(tmp_path)), pair, chain)
    assert list(code_findings(dataset, torch.utils.data.DataLoader(dataset, 4, shuffle=True, num_workers=1))) == []


def test_a_dataset_without_records_is_looked_at_as_an_object():
    assert list(code_findings(Mapped([]))) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", catalog.names())
def test_every_synthetic_copy_is_clean(name):
    assert list(code_findings(catalog.find(name).synthetic(n=32))) == []


@pytest.mark.slow
def test_the_chains_of_the_tutorials_are_clean_on_real_images(faces, hymenoptera, nuclei, cifar, shared):
    from datakit.vision import CIFAR10

    flip = RandomHorizontalFlip(pairs=FACE68_PAIRS)
    seen = faces.with_transform(Compose([Rescale(108), RandomCrop(96), flip, ColorJitter(0.4), ToTensor(scale=False)]))
    assert serious(Subset(seen, range(50)), Loader(Subset(seen, range(50)), 16, shuffle=True, num_workers=1)) == []
    folder = ImageFolder(hymenoptera / "train")
    train = Compose([RandomResizedCrop(224), RandomHorizontalFlip(), ToTensor(scale=False)])
    assert list(code_findings(folder)) == list(code_findings(folder.with_transform(train))) == []
    val = ImageFolder(hymenoptera / "val", transform=Compose([Rescale(256), CenterCrop(224), ToTensor(), IMAGENET]))
    assert list(code_findings(val)) == []
    objects = nuclei.with_transform(Compose([RandomHorizontalFlip(), ToTensor(scale=False)]))
    assert list(code_findings(objects, Loader(objects, 2, shuffle=True, collate_fn=collate.detection))) == []
    assert list(code_findings(CIFAR10(cifar, transform=Compose([RandomHorizontalFlip(), ToTensor(), IMAGENET])))) == []
    assert list(code_findings(MNIST(shared, transform=ToTensor(scale=False)))) == []


@pytest.mark.slow
def test_the_chains_of_the_tutorials_are_clean_on_real_sounds_and_texts(shared, tutorial, anki, tmp_path):
    import tarfile
    import zipfile

    with tarfile.open(shared / "waves_yesno.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    with zipfile.ZipFile(shared / "free-spoken-digit-dataset.zip") as archive:
        archive.extractall(tmp_path)
    words = audio.YesNo(tmp_path, transform=Compose([Gain((-6.0, 6.0)), MelSpectrogram(n_fft=256, n_mels=40)]))
    assert list(code_findings(words, Loader(words, 8, collate_fn=collate.pad))) == []
    assert list(code_findings(audio.SpokenDigits(tmp_path))) == []
    assert list(code_findings(audio.AudioFiles(shared / "audio"))) == []
    names = text.Names(tutorial)
    coded = names.with_transform(Encode(text.Vocab.characters(row["text"] for row in names.records())))
    assert list(code_findings(coded, Loader(coded, 64, shuffle=True, collate_fn=collate.pack))) == []
    assert list(code_findings(text.TranslationPairs(anki))) == []
