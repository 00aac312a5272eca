"""Datasets that others made, read by `from_hf`: which key a column becomes, what its values are, and what is wrong."""

import io
import multiprocessing
import pickle

import datasets
import numpy as np
import pyarrow as pa
import pytest
import soundfile
import torch
from datasets import (
    Array2D,
    Array3D,
    Audio,
    ClassLabel,
    Dataset,
    DatasetDict,
    Features,
    Image,
    LargeList,
    List,
    Sequence,
    Translation,
    Value,
)
from PIL import Image as images

import datakit
from datakit import Concat, Loader, Mapped, Subset, collate
from datakit.chain import same
from datakit.errors import DatakitError, SampleError, UnknownNameError
from datakit.testing import assert_dataset, assert_one_stream

multiprocessing.set_forkserver_preload(["datakit.hugging_face.reading"])


def png(width=6, height=5, colour=(10, 20, 30)):
    buffer = io.BytesIO()
    images.new("RGB", (width, height), colour).save(buffer, "PNG")
    return buffer.getvalue()


def wav(frames=80, channels=1, rate=8000):
    buffer = io.BytesIO()
    soundfile.write(buffer, np.linspace(-0.5, 0.5, frames * channels).reshape(frames, channels), rate, format="WAV")
    return buffer.getvalue()


def table(features, **columns):
    """A dataset whose sounds are bytes: Hugging Face itself would need torchcodec to take them."""
    features = Features(features)
    arrays = [pa.array(columns[name], features.arrow_schema.field(name).type) for name in features]
    return Dataset(datasets.table.InMemoryTable(pa.Table.from_arrays(arrays, schema=features.arrow_schema)))


def medium(data, path=None):
    return {"bytes": data, "path": path}


def pets(n=6):
    return table(
        {
            "photo": Image(),
            "kind": ClassLabel(names=["cat", "dog"]),
            "weight": Value("float32"),
            "name": Value("string"),
        },
        photo=[medium(png(5 + i), f"{i}.png") for i in range(n)],
        kind=[i % 2 for i in range(n)],
        weight=[i / 2 for i in range(n)],
        name=[None if i == 3 else str(i) for i in range(n)],
    )


def test_the_only_image_label_and_sound_get_their_names():
    ds = datakit.from_hf(pets())
    sample = ds[2]
    assert list(sample) == ["index", "image", "label", "weight", "name", "path"]
    assert sample["image"].shape == (5, 7, 3)
    assert sample["image"].flags.writeable
    assert (sample["image"] == (10, 20, 30)).all()
    assert {key: sample[key] for key in ("label", "weight", "name", "path")} == {
        "label": 0, "weight": 1.0, "name": "2", "path": "2.png"
    }  # fmt: skip
    assert ds[3]["name"] is None
    assert ds.classes == ("cat", "dog")
    assert next(ds.records()) == {"label": 0, "weight": 0.0, "name": "0", "path": "0.png"}
    assert_dataset(ds)
    sounds = table({"clip": Audio()}, clip=[medium(wav(80 + i), f"{i}.wav") for i in range(3)])
    heard = datakit.from_hf(sounds)
    truth, rate = soundfile.read(io.BytesIO(wav(81)), dtype="float32")
    assert torch.equal(heard[1]["waveform"], torch.from_numpy(truth)[None])
    assert (heard[1]["sample_rate"], heard[1]["path"]) == (rate, "1.wav")
    assert heard.lengths().tolist() == [80, 81, 82]
    assert heard.collate_fn is collate.pad
    assert_dataset(heard)


def test_ambiguous_columns_keep_their_names():
    two = table(
        {"left": Image(), "right": Image(), "c": Audio(), "d": Audio()}
        | {"a": ClassLabel(names=["x"]), "b": ClassLabel(names=["y"])},
        left=[medium(png())], right=[medium(png(9))], a=[0], b=[0], c=[medium(wav())], d=[medium(wav(9))],
    )  # fmt: skip
    ds = datakit.from_hf(two)
    assert list(ds[0]) == ["index", "left", "right", "c", "d", "a", "b"]
    assert ds[0]["right"].shape == (5, 9, 3)
    assert ds[0]["d"]["waveform"].shape == (1, 9)
    assert (tuple(ds.classes), ds.class_names) == ((), {"a": ("x",), "b": ("y",)})
    chosen = datakit.from_hf(two, {"image": "right", "label": "b", "waveform": "c"})
    assert list(chosen[0]) == ["index", "image", "label", "waveform", "sample_rate"]
    assert chosen.classes == ("y",)
    taken = table({"photo": Image(), "image": Value("string")}, photo=[medium(png())], image=["x"])
    assert datakit.from_hf(taken)[0]["image"] == "x"


def test_only_the_columns_that_were_asked_for_are_read():
    broken = table({"image": Image(), "n": Value("int8")}, image=[medium(b"no image")], n=[5])
    assert datakit.from_hf(broken, ["n"])[0] == {"index": 0, "n": 5}
    assert datakit.from_hf(broken.with_format("numpy", columns=["n"]))[0] == {"index": 0, "n": 5}
    with pytest.raises(SampleError, match=r"HuggingFace\[0\]: column 'image': not an image"):
        datakit.from_hf(broken)[0]
    with pytest.raises(UnknownNameError, match=r"unknown column 'imag'; did you mean 'image'\?"):
        datakit.from_hf(broken, ["imag"])
    with pytest.raises(TypeError, match="dict of keys and columns"):
        datakit.from_hf(broken, "image")


OBJECTS = {"bbox": [[1.0, 2, 3, 4], [5, 6, 7, 8]], "category": [1, 0]}


@pytest.mark.parametrize(
    "feature",
    [
        Sequence({"bbox": Sequence(Value("float32"), length=4), "category": ClassLabel(names=["cat", "dog"])}),
        List({"bbox": List(Value("float32"), length=4), "category": ClassLabel(names=["cat", "dog"])}),
    ],
    ids=["dict of lists", "list of dicts"],
)
def test_objects_of_a_detection_dataset(feature):
    listed = [dict(zip(OBJECTS, values, strict=True)) for values in zip(*OBJECTS.values(), strict=True)]
    is_dict = isinstance(feature, dict)
    rows = [OBJECTS, {"bbox": [], "category": []}] if is_dict else [listed, []]
    data = table({"image": Image(), "objects": feature}, image=[medium(png())] * 2, objects=rows)
    ds = datakit.from_hf(data, {"image": "image", "boxes": "objects.bbox", "labels": "objects.category"})
    assert same(ds[0]["boxes"], np.array(OBJECTS["bbox"], np.float32))
    assert same(ds[0]["labels"], np.array([1, 0]))
    assert same(ds[1]["boxes"], np.zeros((0, 4), np.float32))
    assert ds.classes == ("cat", "dog")
    whole = datakit.from_hf(data)
    assert whole.class_names == {"objects.category": ("cat", "dog")}
    inner = whole[0]["objects"]
    assert same(
        (inner if is_dict else inner[1])["bbox"], np.array(OBJECTS["bbox"] if is_dict else [5, 6, 7, 8], np.float32)
    )
    with pytest.raises(UnknownNameError, match=r"did you mean 'objects.bbox'"):
        datakit.from_hf(data, {"boxes": "objects.box"})
    nulled = table({"objects": List({"n": Value("int8")})}, objects=[None, [{"n": 3}]])
    part = datakit.from_hf(nulled, {"n": "objects.n"})
    assert part[0]["n"] is None
    assert same(part[1]["n"], np.array([3], np.int8))


@pytest.mark.parametrize(
    ("feature", "value", "want"),
    [
        (Value("int16"), 5, 5),
        (Value("float32"), 0.5, 0.5),
        (Value("bool"), True, True),
        (Value("large_string"), "x", "x"),
        (Value("binary"), b"x", b"x"),
        (Value("int8"), None, None),
        (List(Value("int16")), [1, 2], np.array([1, 2], np.int16)),
        (List(Value("float16")), [], np.array([], np.float16)),
        (List(Value("bool")), [True, False], np.array([True, False])),
        (LargeList(Value("float64")), [1.5], np.array([1.5])),
        (List(Value("float32"), length=2), [1, 2], np.array([1, 2], np.float32)),
        (List(List(Value("uint8"))), [[1, 2], [3, 4], [5, 6]], np.array([[1, 2], [3, 4], [5, 6]], np.uint8)),
        (List(List(Value("uint8"))), [[1], [2, 3], []], [np.array(v, np.uint8) for v in ([1], [2, 3], [])]),
        (List(List(Value("uint8"))), [[], []], np.zeros((2, 0), np.uint8)),
        (List(List(Value("uint8"), length=3)), [], np.zeros((0, 3), np.uint8)),
        (List(List(List(Value("int8")))), [[[1], [2]], [[3], [4]]], np.array([[[1], [2]], [[3], [4]]], np.int8)),
        (List(List(List(Value("int8")))), [[[1, 2]], [[3]]], [[np.array([1, 2], np.int8)], [np.array([3], np.int8)]]),
        (List(List(Value("int8"))), None, None),
        (Array2D((2, 3), "int32"), [[1, 2, 3], [4, 5, 6]], np.array([[1, 2, 3], [4, 5, 6]], np.int32)),
        (Array2D((None, 3), "float32"), [], np.zeros((0, 3), np.float32)),
        (Array3D((1, 2, 2), "uint8"), [[[1, 2], [3, 4]]], np.array([[[1, 2], [3, 4]]], np.uint8)),
        (List(Value("string")), ["a", None], ["a", None]),
        (List(ClassLabel(names=["a", "b"])), [1, 0], np.array([1, 0])),
        ({"a": Value("int8"), "b": List(Value("int8"))}, {"a": 1, "b": [2]}, {"a": 1, "b": np.array([2], np.int8)}),
        (Translation(["en", "fr"]), {"en": "cat", "fr": "chat"}, {"en": "cat", "fr": "chat"}),
        (List(Image()), [medium(png(3, 2))], [np.full((2, 3, 3), (10, 20, 30), np.uint8)]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_have_the_declared_types(feature, value, want):
    features = Features(x=feature)
    kind = features.arrow_schema.field("x").type
    storage = kind.storage_type if isinstance(kind, pa.ExtensionType) else kind
    column = pa.array([value, None, value], storage)
    column = pa.ExtensionArray.from_storage(kind, column) if isinstance(kind, pa.ExtensionType) else column
    data = Dataset(datasets.table.InMemoryTable(pa.Table.from_arrays([column], schema=features.arrow_schema)))
    for place in (0, 2):
        found = datakit.from_hf(data, {"x": "x"})[place]["x"]
        assert same(found, want), (found, want)
    if isinstance(want, np.ndarray):
        assert found.flags.writeable
        assert found.flags.owndata or found.base.flags.owndata


@pytest.mark.parametrize(
    ("feature", "values", "message"),
    [
        (Image(), [None], r"HuggingFace\[0\]: column 'x' is null"),
        (Image(), [medium(None)], "column 'x' has neither bytes nor a path"),
        (Image(), [medium(b"")], "column 'x': empty file"),
        (Image(), [medium(png()[:-20], "a/b.png")], r"HuggingFace\[0\]: column 'x', a/b.png: truncated PNG"),
        (Image(), [medium(None, "nowhere.png")], "nowhere.png: there is no such file"),
        (Image(), [medium(None, "https://example.org/1.png")], "https://example.org/1.png, and datakit opens no conn"),
        (Image(), [medium(None, "hf://datasets/me/pets/1.png")], "datakit opens no connections"),
        (Audio(), [medium(wav()[:-10])], "column 'x': .*"),
        (Audio(), [None], "column 'x' is null"),
        (
            Audio(sampling_rate=16000),
            [medium(wav())],
            "declares 16000 Hz and any number of channels, the sound has 8000",
        ),
        (ClassLabel(names=["a"]), [None], "column 'x' has no label: it is null"),
        (List(Value("int8")), [[1, None, None]], "column 'x' has 2 nulls among its numbers"),
        (List(List(Value("int8"))), [[[1], None]], "column 'x' has 1 nulls"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_errors_name_row_and_column(feature, values, message):
    with pytest.raises(SampleError, match=message):
        datakit.from_hf(table({"x": feature}, x=values))[0]


def test_a_declared_number_of_channels():
    if "num_channels" not in Audio.__dataclass_fields__:
        pytest.skip("this release of datasets does not declare channels")
    with pytest.raises(SampleError, match="declares any Hz and 2 channels, the sound has 8000 Hz and 1"):
        datakit.from_hf(table({"x": Audio(num_channels=2)}, x=[medium(wav())]))[0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DatasetDict(train=pets(), test=pets()), "holds the splits 'train', 'test'"),
        (lambda: pets().with_transform(lambda rows: rows), "transform of its own"),
        (lambda: table({"x": Image(mode="RGBA")}, x=[medium(png())]), "'x' declares images as RGBA"),
        (lambda: table({"x": datasets.Video()}, x=[medium(b"")]), "'x' is of the kind Video"),
        (lambda: table({"x": List(datasets.Video())}, x=[[]]), "'x' is of the kind Video"),
    ],
)
def test_what_is_refused_at_once(make, message):
    with pytest.raises(DatakitError, match=message):
        datakit.from_hf(make())
    with pytest.raises(TypeError, match="got list; others go into Mapped"):
        datakit.from_hf([1])


def test_paths_are_opened_where_there_are_no_bytes(tmp_path):
    (tmp_path / "ants").mkdir()
    (tmp_path / "ants" / "1.png").write_bytes(png())
    (tmp_path / "bees").mkdir()
    (tmp_path / "bees" / "2.png").write_bytes(png(9))
    folder = datasets.load_dataset("imagefolder", data_dir=tmp_path, cache_dir=tmp_path / "cache", split="train")
    ds = datakit.from_hf(folder)
    assert ds.classes == ("ants", "bees")
    assert [(sample["label"], sample["image"].shape) for sample in ds] == [(0, (5, 6, 3)), (1, (5, 9, 3))]
    assert ds[1]["path"] == str(tmp_path / "bees" / "2.png")
    assert same(datakit.from_hf(datakit.to_hf(ds))[0], ds[0])


def test_grey_images_as_declared():
    grey = table({"image": Image(mode="L")}, image=[medium(png())])
    assert datakit.from_hf(grey)[0]["image"].shape == (5, 6, 1)


def test_indices_formats_and_fingerprints():
    data = pets()
    ds = datakit.from_hf(data.with_format("torch"))
    assert isinstance(ds[0]["weight"], float)
    turned = datakit.from_hf(data.select([5, 0]))
    assert [sample["path"] for sample in turned] == ["5.png", "0.png"]
    prints = {datakit.from_hf(d, c).fingerprint() for d in (data, data.select([1])) for c in (None, ["kind"])}
    assert len(prints) == 4
    assert datakit.from_hf(data).fingerprint() == datakit.from_hf(data).fingerprint()


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_map_the_table_and_do_not_copy_it(tmp_path, context):
    pets(40).save_to_disk(tmp_path / "pets")
    ds = datakit.from_hf(datasets.load_from_disk(tmp_path / "pets"))
    assert len(pickle.dumps(ds)) < 20_000
    loader = Loader(ds, 8, num_workers=1, multiprocessing_context=context, collate_fn=list, shuffle=True)
    assert sorted(sample["weight"] for batch in loader for sample in batch) == [n / 2 for n in range(40)]


def test_it_is_one_stream():
    assert_one_stream(datakit.from_hf(pets()))


def test_lengths_of_tokens_and_of_nothing():
    ds = datakit.from_hf(table({"tokens": List(Value("int64"))}, tokens=[[1, 2], [], [3]]))
    assert ds.lengths().tolist() == [2, 0, 1]
    with pytest.raises(DatakitError, match="no waveform"):
        ds.durations()
    with pytest.raises(DatakitError, match="no waveform, features, tokens or text"):
        datakit.from_hf(pets()).lengths()
    broken = datakit.from_hf(table({"clip": Audio()}, clip=[medium(wav()), medium(b"no sound")]))
    with pytest.raises(SampleError, match=r"HuggingFace\[1\].*not a sound file.*its length"):
        broken.lengths()


def test_a_part_of_it_knows_its_rows():
    ds = datakit.from_hf(pets())
    part = Subset(ds, [4, 1])
    assert list(part.records()) == [ds.record(4), ds.record(1)]
    assert list(Concat([part, ds]).records())[:3] == [ds.record(4), ds.record(1), ds.record(0)]
    assert list(Subset(Mapped([1, 2, 3]), [2]).records()) == [{"index": 2}]
