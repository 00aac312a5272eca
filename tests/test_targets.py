import re
import sys

import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from datakit import Loader, Mapped, audio, transforms
from datakit.errors import MissingDataError, UnknownNameError
from datakit.targets import _FEATURES, TargetError, chain_of, open_target, parse_transform
from datakit.vision import FaceLandmarks, ImageFiles, ImageFolder

MODULE = """
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset
import datakit
from datakit import Loader
from datakit.vision import FaceLandmarks
from datakit.transforms import Rescale, ToTensor

calls = []
tensors = TensorDataset(torch.rand(6, 3, 8, 8), torch.arange(6))
foreign_loader = DataLoader(tensors, batch_size=2)
words = ["one", "two"]
splits = {"train": words, "test": words}
number = 3
chain = [Rescale((32, 32)), ToTensor()]
one = ToTensor()

class Stream(IterableDataset):
    def __iter__(self):
        return iter(range(3))

stream = Stream()

def hub_stream():
    import datasets

    return datasets.Dataset.from_dict({"x": list(range(300))}).to_iterable_dataset()

def hub_table():
    import datasets

    features = datasets.Features(x=datasets.List(datasets.Value("float32")))
    return datasets.Dataset.from_dict({"x": [[1.0]]}, features=features)

def hub_loader():
    return Loader(datakit.from_hf(hub_stream()), 4)

stream_loader = DataLoader(stream, batch_size=2)

class Ten:
    def __len__(self):
        return 10

    def __getitem__(self, index):
        return {"x": index}

class Faces(FaceLandmarks):
    pass

def make():
    calls.append("made")
    return FaceLandmarks.synthetic(n=4)

def make_loader():
    return Loader(words, 2, seed=7)

def needs(path, size=3):
    return words

def fails():
    raise RuntimeError("no such GPU")

def gives_text():
    return 3.5
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The name of a module in the current folder, which is not on the path yet."""
    name = f"mine_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", str(tmp_path))])
    yield name
    sys.modules.pop(name, None)


@pytest.fixture
def image_folder(tmp_path):
    for name in ("ants/1.png", "bees/2.png", "bees/3.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (5, 4), "red").save(tmp_path / name)
    return tmp_path


def test_a_catalog_name_with_a_root(faces):
    target = open_target("faces", root=faces.root)
    assert isinstance(target.dataset, FaceLandmarks)
    assert len(target.dataset) == 69
    assert target.loader is None
    assert target.source is target.dataset


def test_a_catalog_name_with_a_synthetic_copy_of_a_size():
    assert len(open_target("faces", synthetic=5).dataset) == 5


@pytest.mark.parametrize("places", [{}, {"root": "x", "synthetic": 3}])
def test_a_catalog_name_needs_one_place(places):
    with pytest.raises(TargetError, match=r"faces .*--root DIR .*--synthetic"):
        open_target("faces", **places)


def test_unknown_names_suggest():
    with pytest.raises(UnknownNameError, match="did you mean 'faces'") as raised:
        open_target("face")
    assert "package.module:object" in str(raised.value)
    with pytest.raises(UnknownNameError, match="known: .*faces"):
        open_target("")


def test_a_split_that_is_not_there_and_data_that_are_not_there(tmp_path):
    with pytest.raises(UnknownNameError, match="FaceLandmarks has no splits"):
        open_target("faces", synthetic=2, split="train")
    with pytest.raises(MissingDataError, match=str(tmp_path)):
        open_target("faces", root=tmp_path)


def test_folders_of_images(image_folder):
    target = open_target(str(image_folder))
    assert isinstance(target.dataset, ImageFolder)
    assert target.dataset.classes == ["ants", "bees"]
    flat = open_target(str(image_folder / "bees")).dataset
    assert isinstance(flat, ImageFiles)
    assert len(flat) == 2


def test_folders_of_sounds(tmp_path):
    for name in ("dog/1.wav", "cat/2.flac", "cat/.hidden/3.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        audio.save(tmp_path / name, torch.zeros(1, 80), 8000)
    (tmp_path / "cat" / "notes.txt").write_text("mew")
    folder = open_target(str(tmp_path)).dataset
    assert isinstance(folder, audio.AudioFolder)
    assert folder.classes == ["cat", "dog"]
    flat = open_target(str(tmp_path / "cat")).dataset
    assert isinstance(flat, audio.AudioFiles)
    assert len(flat) == 1


def test_a_folder_of_both_is_not_guessed_at(image_folder):
    audio.save(image_folder / "bees" / "hum.wav", torch.zeros(1, 80), 8000)
    with pytest.raises(TargetError, match=r"has sounds \(.*hum\.wav\) and images \(.*1\.png\); say which: .*--root"):
        open_target(str(image_folder))
    assert isinstance(open_target("datakit.audio:AudioFiles", root=image_folder).dataset, audio.AudioFiles)


def test_a_data_directory_of_kaldi(tmp_path):
    audio.KaldiData.synthetic(n=4).write(tmp_path / "data", absolute=True)
    target = open_target(str(tmp_path / "data"))
    assert isinstance(target.dataset, audio.KaldiData)
    assert {"waveform", "features"} <= target.dataset[0].keys()
    assert target.note == ""


def test_the_commands_of_a_data_directory_are_left_out_and_that_is_said(tmp_path):
    audio.KaldiData.synthetic(n=4).write(tmp_path / "data", absolute=True)
    scp = tmp_path / "data" / "wav.scp"
    ran = tmp_path / "ran"
    lines = scp.read_text().splitlines()
    scp.write_text("\n".join([f"{lines[0].split()[0]} touch {ran}; cat {lines[0].split()[1]} |", *lines[1:]]) + "\n")
    target = open_target(str(tmp_path / "data"))
    sample = target.dataset[0]
    assert "features" in sample
    assert "waveform" not in sample
    assert re.search(r"wav\.scp names commands, which are not run: .* no waveform", target.note)
    assert not ran.exists()


def test_paths_that_are_no_folder_of_images(tmp_path, image_folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingDataError, match="neither images .* nor sounds"):
        open_target(str(tmp_path / "empty"))
    with pytest.raises(TargetError, match=r"1\.png is a file"):
        open_target(str(tmp_path / "ants" / "1.png"))
    with pytest.raises(TargetError, match=f"there is no folder {tmp_path}/nowhere"):
        open_target(f"{tmp_path}/nowhere")
    with pytest.raises(TargetError, match="--root goes with a name of the catalog"):
        open_target(str(image_folder), root=".")


def test_objects_that_are_datasets_are_put_into_mapped(module):
    for name, length in (("tensors", 6), ("words", 2), ("Ten", 10)):
        dataset = open_target(f"{module}:{name}").dataset
        assert isinstance(dataset, Mapped)
        assert len(dataset) == length
    assert open_target(f"{module}:Ten").dataset[3] == {"index": 3, "x": 3}


def test_functions_and_classes_are_called_once(module):
    target = open_target(f"{module}:make", transform=chain_of(["ToTensor"]))
    assert isinstance(target.dataset, FaceLandmarks)
    assert isinstance(target.dataset[0]["image"], torch.Tensor)
    assert sys.modules[module].calls == ["made"]


def test_a_dataset_class_of_ones_own_takes_the_options_of_the_catalog(module):
    target = open_target(f"{module}:Faces", synthetic=3)
    assert type(target.dataset).__name__ == "Faces"
    assert len(target.dataset) == 3
    with pytest.raises(TargetError, match="--root DIR"):
        open_target(f"{module}:Faces")


def test_loaders_keep_their_dataset_in_sight(module):
    target = open_target(f"{module}:foreign_loader")
    assert type(target.loader) is DataLoader
    assert isinstance(target.dataset, Mapped)
    assert target.source is target.loader
    ours = open_target(f"{module}:make_loader")
    assert isinstance(ours.loader, Loader)
    assert ours.dataset is ours.loader.records
    assert open_target(f"{module}:stream_loader").dataset is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sterams", r"cannot import .*did you mean 'stream'"),
        ("splits", "holds 'train', 'test'"),
        ("number", "is an int, not a dataset"),
        ("needs", r"needs arguments, \(path, size=3\)"),
        ("gives_text", "gave a float, neither"),
    ],
)
def test_objects_of_other_kinds_say_what_they_are(module, name, message):
    with pytest.raises(TargetError, match=message):
        open_target(f"{module}:{name}")


def test_errors_of_the_users_own_code_pass_through(module):
    with pytest.raises(RuntimeError, match="no such GPU"):
        open_target(f"{module}:fails")


def test_modules_are_named_not_files(module):
    with pytest.raises(TargetError, match=f"name the module, not the file: {module}:words"):
        open_target(f"./{module}.py:words")
    with pytest.raises(TargetError, match="No module named 'nowhere_at_all'"):
        open_target("nowhere_at_all:words")
    with pytest.raises(TargetError, match="--synthetic goes with a name"):
        open_target(f"{module}:words", synthetic=3)


def test_a_loader_brings_its_own_transforms(module):
    with pytest.raises(TargetError, match="brings its own transforms"):
        open_target(f"{module}:make_loader", transform=chain_of(["ToTensor"]))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ToTensor", transforms.ToTensor()),
        (" Rescale(256) ", transforms.Rescale(256)),
        ("RandomCrop((200, 100), pad=True, fill=-0)", transforms.RandomCrop((200, 100), pad=True)),
        ("Normalize([0.5], std=[.25])", transforms.Normalize((0.5,), (0.25,))),
        (
            "RandomHorizontalFlip(p=1, pairs=FACE68_PAIRS)",
            transforms.RandomHorizontalFlip(1, transforms.FACE68_PAIRS),
        ),
    ],
)
def test_transforms_are_parsed(text, expected):
    assert parse_transform(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Rescal(3)", "unknown name 'Rescal'; did you mean 'Rescale'"),
        ("Compose([])", "unknown name 'Compose'"),
        ("Random", "unknown name 'Random'; did you mean"),
        ("FACE68_PAIRS", "unknown name"),
        ("Rescale(sise=3)", "no argument 'sise'; did you mean 'size'"),
        ("Rescale", r"missing a required argument: 'size'; it is Rescale\(size: int"),
        ("Rescale(1, 2)", "too many positional arguments"),
        ("RandomCrop(-1)", "positive int"),
        ("Rescale('big')", "positive int"),
        ("Rescale(256), ToTensor", "each one its own -t"),
        ("Rescale(2 ** 8)", "is no literal"),
        ("Rescale(size)", "'size' is no literal"),
        ("Rescale(*[1])", "is no literal"),
        ("Rescale(**{'size': 1})", r"\*\* is not allowed"),
        ("Rescale(open('x', 'w'))", "is no literal"),
        ("transforms.Rescale(3)", "not of the form"),
        ("Rescale(3)()", "not of the form"),
        ("lambda sample: sample", "not of the form"),
        ("(" * 300, "not of the form"),
        ("Rescale(" + "[" * 150 + "]" * 150 + ")", "transform"),
        ("", "not of the form"),
        ("Rescale(3); import os", "not of the form"),
        ("a\0b", "not of the form"),
    ],
)
def test_other_text_is_refused_with_what_was_typed(text, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TargetError, match=message) as raised:
        parse_transform(text)
    assert repr(text) in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_chains(module):
    assert chain_of([]) is None
    assert chain_of(["Rescale(8)", "ToTensor"]).transforms == (transforms.Rescale(8), transforms.ToTensor())
    assert chain_of([], f"{module}:chain").transforms == (transforms.Rescale((32, 32)), transforms.ToTensor())
    assert chain_of([], f"{module}:one").transforms == (transforms.ToTensor(),)
    with pytest.raises(TargetError, match="do not go together"):
        chain_of(["ToTensor"], f"{module}:chain")
    with pytest.raises(TargetError, match="is an int, not a transform"):
        chain_of([], f"{module}:number")


def test_every_public_transform_can_be_typed_by_name():
    classes = {name for name in transforms.__all__ if isinstance(getattr(transforms, name), type)}
    with pytest.raises(TargetError) as raised:
        parse_transform("qqqqqqqq")
    known = set(str(raised.value).split("known: ")[1].split(", "))
    assert known == classes - {"Compose", "Random"} | set(_FEATURES)


def test_streams_and_tables_of_hugging_face(module):
    """Of a stream the first records are looked at, and a note says so."""
    for name, count in (("stream", 3), ("hub_stream", 256), ("hub_loader", 256)):
        target = open_target(f"{module}:{name}")
        assert len(target.dataset) == count
        assert "is a stream, and has no index" in target.note
    assert target.dataset[255] == {"index": 255, "x": 255}
    assert isinstance(target.loader, Loader)
    table = open_target(f"{module}:hub_table")
    assert table.note == ""
    assert table.dataset[0]["x"].dtype == "float32"
