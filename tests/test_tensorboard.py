"""What is written for TensorBoard, read back from its files."""

import csv
import io
import json

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner
from google.protobuf import text_format
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

import datakit
from datakit import Mapped
from datakit.audio import SpokenDigits
from datakit.cli import command
from datakit.errors import DatakitError, SampleError
from datakit.report import tensorboard
from datakit.report.tensorboard import projector
from datakit.transforms import Compose, Gain, Normalize, RandomHorizontalFlip, Spectrogram, ToTensor
from datakit.vision import FaceLandmarks

HALF = Normalize((0.5, 0.4, 0.3), (0.2, 0.25, 0.3))
COLOURS = np.array([(200, 30, 40), (20, 180, 60), (30, 60, 210), (120, 120, 20)], np.uint8)


@pytest.fixture
def written(tmp_path, one_thread):
    """A function that calls one of ours with a writer and reads back what it wrote."""

    def call(function, *arguments, **options):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        with tensorboard.writer(folder) as writer:
            function(writer, *arguments, **options)
        return Run(folder)

    return call


class Run:
    """A folder that TensorBoard reads."""

    def __init__(self, folder):
        self.folder = folder
        self.events = EventAccumulator(str(folder), size_guidance={"images": 0, "tensors": 0, "scalars": 0})
        self.events.Reload()
        self.tags = self.events.Tags()

    def image(self, tag):
        (event,) = self.events.Images(tag)
        return np.asarray(Image.open(io.BytesIO(event.encoded_image_string)).convert("RGB")).astype(int)

    def tensor(self, tag):
        (event,) = self.events.Tensors(tag)
        return event

    def text(self, tag):
        return self.tensor(f"{tag}/text_summary").tensor_proto.string_val[0].decode()

    def projection(self):
        """Points, sprites and rows of metadata, as the configuration names them."""
        config = text_format.Parse((self.folder / "projector_config.pbtxt").read_text(), ProjectorConfig())
        (one,) = config.embeddings
        points = np.loadtxt(self.folder / one.tensor_path, delimiter="\t", ndmin=2)
        sheet = np.asarray(Image.open(self.folder / one.sprite.image_path).convert("RGB")).astype(int)
        wide, high = one.sprite.single_image_dim
        columns = sheet.shape[1] // wide
        tiles = sheet.reshape(-1, high, columns, wide, 3).swapaxes(1, 2).reshape(-1, high, wide, 3)
        text = (self.folder / one.metadata_path).read_text() if one.metadata_path else ""
        return points, tiles[: len(points)], list(csv.reader(io.StringIO(text), delimiter="\t"))


def plain_images(size=32):
    return torch.from_numpy(COLOURS).float()[:, :, None, None].expand(-1, 3, size, size) / 255


def share(picture, colour, within=2):
    return (np.abs(picture - colour.astype(int)).max(2) <= within).mean()


# --- pictures


def test_the_grid_of_a_batch_has_its_colours_with_the_normalisation_undone(written):
    batch = {"image": HALF.on(plain_images()), "label": torch.arange(4)}
    picture = written(tensorboard.images, batch, normalize=HALF, tag="looks", step=7).image("looks")
    assert all(share(picture, colour) > 0.15 for colour in COLOURS)
    wrong = written(tensorboard.images, batch).image("batch")
    assert not any(share(wrong, colour) > 0.05 for colour in COLOURS)
    assert written(tensorboard.images, batch, step=7).events.Images("batch")[0].step == 7


def test_what_lies_on_the_image_is_drawn_and_a_dataset_or_loader_is_taken_too(written):
    image = torch.zeros(3, 64, 64)
    bare = written(tensorboard.images, [{"image": image}]).image("batch")
    found = {"boxes": torch.tensor([[8.0, 8, 40, 50]]), "labels": torch.tensor([1]), "scores": torch.tensor([0.75])}
    boxes = written(tensorboard.images, ([image], [found]), classes=("", "cat")).image("batch")
    other = written(tensorboard.images, ([image], [found]), classes=("", "dog")).image("batch")
    assert (np.abs(boxes - bare).max(2) > 60).sum() > 200
    assert (np.abs(boxes - other).max(2) > 60).sum() > 20
    records = [{"image": np.broadcast_to(colour, (32, 32, 3)).copy()} for colour in COLOURS]
    dataset = Mapped(records, transform=Compose([ToTensor(), HALF]))
    for data in (dataset, datakit.Loader(dataset, 4)):
        picture = written(tensorboard.images, data).image("batch")
        assert all(share(picture, colour) > 0.15 for colour in COLOURS)
    with pytest.raises(DatakitError, match="nothing to draw"):
        written(tensorboard.images, [{"text": "no image"}])


def fails(sample):
    raise ValueError("no more")


def test_stages_are_an_image_each_sample(written):
    records = [{"image": np.broadcast_to(colour, (32, 32, 3)).copy()} for colour in COLOURS]
    dataset = Mapped(records, transform=Compose([ToTensor(), HALF]))
    run = written(tensorboard.stages, dataset, samples=3, seed=1)
    assert len(run.tags["images"]) == 3
    for tag in run.tags["images"]:
        picture = run.image(tag)
        colour = COLOURS[int(tag.removeprefix("samples/"))]
        assert share(picture, colour) > 0.5  # in all three pictures
        assert picture.shape[1] > 2.5 * picture.shape[0]
    with pytest.raises(DatakitError, match=r"Mapped\[\d\]: ValueError: no more \(fails"):
        written(tensorboard.stages, dataset.with_transform(fails))


def test_right_is_green_and_wrong_is_red(written):
    batch = {"image": torch.ones(4, 3, 32, 32), "label": torch.tensor([0, 1, 0, 1])}
    scores = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.4, 0.6]])

    def shares(rows, **options):
        picture = written(tensorboard.predictions, batch, rows, classes=("ant", "bee"), **options).image("predictions")
        red, green, _ = np.moveaxis(picture, 2, 0)
        return (green - red > 60).sum(), (red - green > 60).sum(), picture

    green, red, picture = shares(scores)
    assert (green > 1000, red) == (True, 0)
    green, red, _ = shares(scores.flip(1))
    assert (green, red > 1000) == (0, True)
    green, red, _ = shares(torch.where(torch.tensor([[True], [True], [False], [False]]), scores, scores.flip(1)))
    assert 0.7 < green / red < 1.4
    assert np.abs(shares(scores * 0.99)[2] - picture).max() > 100  # the probability is written there
    one = shares(scores, most=1)[2]
    assert one.shape[0] < picture.shape[0]


@pytest.mark.parametrize(
    ("scores", "text"),
    [
        (torch.randn(4, 2) * 9, r"probabilities in \[0, 1\].*give logits\.softmax\(1\)"),
        (torch.full((4, 2), np.nan), r"probabilities in \[0, 1\]"),
        (torch.rand(4), r"numbers \(N, C\)"),
        (torch.rand(3, 2), "4 images, the scores have 3 rows"),
    ],
)
def test_scores_must_be_probabilities(written, scores, text):
    with pytest.raises(DatakitError, match=text):
        written(tensorboard.predictions, {"image": torch.zeros(4, 3, 8, 8)}, scores)


# --- curves


def test_precision_and_recall_are_those_of_numpy(written):
    rng = np.random.default_rng(0)
    scores, labels = rng.dirichlet((1, 1, 1), 200), rng.integers(0, 3, 200)
    run = written(tensorboard.precision_recall, torch.from_numpy(scores), labels, ("ant", "bee"), step=3)
    assert run.tags["tensors"] == ["precision-recall/ant", "precision-recall/bee", "precision-recall/2"]
    thresholds = np.arange(127) / 126
    for place, name in enumerate(("ant", "bee", "2")):
        event = run.tensor(f"precision-recall/{name}")
        assert event.step == 3
        chosen, is_it = scores[:, place] >= thresholds[:, None], labels == place
        right, wrong = (chosen & is_it).sum(1), (chosen & ~is_it).sum(1)
        missed, left = is_it.sum() - right, (~is_it).sum() - wrong
        truth = right, wrong, left, missed, right / np.maximum(right + wrong, 1e-7), right / is_it.sum()
        found = np.array(event.tensor_proto.float_val).reshape(6, 127)
        np.testing.assert_allclose(found, np.stack(truth), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        ([0, 1, 2, 0], r"of 2 classes, but the labels go 0 … 2"),
        ([0, -1, 1, 0], "the labels go -1 … 1"),
        ([0, 1], r"labels are 4 whole numbers"),
        ([0.0, 1.0, 1.0, 0.0], r"labels are 4 whole numbers"),
    ],
)
def test_labels_must_go_with_the_scores(written, labels, text):
    with pytest.raises(DatakitError, match=text):
        written(tensorboard.precision_recall, np.full((4, 2), 0.5), labels)


# --- the graph


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Conv2d(3, 4, 3)
        self.norm = torch.nn.BatchNorm2d(4)
        self.last = torch.nn.Linear(4 * 6 * 6, 2)

    def forward(self, image):
        return {"logits": self.last(self.norm(self.first(image)).relu().flatten(1))}


@pytest.mark.parametrize("batch", [torch.rand(5, 3, 8, 8), {"index": [1], "image": torch.rand(5, 3, 8, 8)}])
def test_the_graph_has_the_parts_of_the_model_and_leaves_it_alone(written, batch, capsys):
    net = Net()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    run = written(tensorboard.graph, net, batch)
    nodes = GraphDef.FromString(run.events.Graph().SerializeToString()).node
    for part in ("Conv2d[first]", "BatchNorm2d[norm]", "Linear[last]"):
        assert any(part in node.name for node in nodes), part
    (source,) = [node for node in nodes if node.op == "IO Node" and "input" in node.name]
    assert [dim.size for dim in source.attr["_output_shapes"].list.shape[0].dim] == [5, 3, 8, 8]
    assert net.training
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert capsys.readouterr().out == ""


def test_other_inputs_are_named(written):
    class Two(torch.nn.Module):
        def forward(self, tokens, length):
            return tokens.sum(1) / length

    batch = {"tokens": torch.ones(2, 3), "length": torch.tensor([3, 3]), "text": ["a", "b"]}
    run = written(tensorboard.graph, Two(), batch, inputs=("tokens", "length"))
    assert any(node.op == "aten::div" for node in run.events.Graph().node)
    with pytest.raises(DatakitError, match=r"no \['image'\], it has \['length', 'text', 'tokens'\].*inputs="):
        written(tensorboard.graph, Two(), batch)
    with pytest.raises(DatakitError, match=r"'text' of the batch is a list, no tensor"):
        written(tensorboard.graph, Two(), batch, inputs=("text",))
    with pytest.raises(DatakitError, match="got a list"):
        written(tensorboard.graph, Two(), [batch])


def test_a_model_that_does_not_take_the_batch_is_an_error_with_the_shape(written, capsys):
    with pytest.raises(DatakitError, match=r"graph of Net cannot be traced with float32 \(2, 1, 8, 8\)"):
        written(tensorboard.graph, Net(), torch.rand(2, 1, 8, 8))
    assert capsys.readouterr().out == ""


# --- the projector


class Pictures(list):
    classes = ("an ant", "a\tbee")


def pictures(n, size, channels=3):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n, size, size, channels), dtype=np.uint8)
    return images, Mapped(Pictures({"image": image, "label": i % 2} for i, image in enumerate(images)))


def test_points_are_the_pixels_with_class_and_index(written):
    images, dataset = pictures(40, 28, channels=1)
    points, _, (head, *rows) = written(tensorboard.embedding, dataset, n=35).projection()
    assert head == ["class", "index"]
    order = [int(index) for _, index in rows]
    assert len(set(order)) == 35
    assert order == next(iter(datakit.Loader(dataset, 35, seed=0, shuffle=True)))["index"].tolist()
    assert [name for name, _ in rows] == [("an ant", "a bee")[index % 2] for index in order]
    np.testing.assert_allclose(points, images[order].reshape(35, -1) / 255, atol=1e-6)


def test_sprites_are_the_pictures_with_the_normalisation_undone(written):
    images, dataset = pictures(7, 64)
    dataset.transform = Compose([RandomHorizontalFlip(1.0), ToTensor(), HALF])
    points, tiles, (_, *rows) = written(tensorboard.embedding, dataset).projection()
    shown = images[[int(index) for _, index in rows]][:, :, ::-1].astype(int)
    assert np.abs(tiles - shown).max() <= 1
    means = shown.reshape(7, 32, 2, 32, 2, 3).mean((2, 4)) / 255  # pixels of 64 x 64 shrunk to 32 x 32
    assert np.abs(points - means.reshape(7, -1)).max() <= 1.1 / 255


def test_features_get_batches_and_no_gradients(written):
    images, dataset = pictures(40, 12)
    dataset.transform = ToTensor()
    weight, sizes = torch.ones(3, requires_grad=True), []

    def features(batch):
        sizes.append(len(batch["image"]))
        assert not torch.is_grad_enabled()
        return batch["image"].mean((2, 3)) * weight

    points, _, (_, *rows) = written(tensorboard.embedding, dataset, features).projection()
    assert sizes == [32, 8]
    truth = images[[int(index) for _, index in rows]].mean((1, 2)) / 255
    np.testing.assert_allclose(points, truth, atol=1e-5)
    with pytest.raises(DatakitError, match=r"features gave \(40,\) for 32 samples|features gave \(32,\)"):
        written(tensorboard.embedding, dataset, lambda batch: batch["image"].mean((1, 2, 3)))


def test_many_sprites_fit_into_the_largest_texture(written, monkeypatch):
    assert projector._SPRITE == 8192
    monkeypatch.setattr(projector, "_SPRITE", 256)
    _, dataset = pictures(30, 16)
    run = written(tensorboard.embedding, dataset)
    with Image.open(next(run.folder.rglob("sprite.png"))) as sheet:
        assert sheet.size == (6 * 42, 6 * 42)
    assert len(run.projection()[0]) == 30


def test_samples_without_names_and_of_other_sizes(written):
    samples = [{"image": np.full((20, 30 + i, 3), i * 20, np.uint8)} for i in range(5)]
    points, tiles, rows = written(tensorboard.embedding, samples).projection()
    assert (points * 255).round().max(1).tolist() == tiles[:, 32, 32, 0].tolist()
    assert tiles[:, 32, 32, 0].tolist() == [20 * int(row[0]) for row in rows]  # one column, and so no header
    _, _, rows = written(tensorboard.embedding, [sample["image"] for sample in samples]).projection()
    assert rows == []
    with pytest.raises(DatakitError, match="no image"):
        written(tensorboard.embedding, [{"text": "a"}])
    with pytest.raises(DatakitError, match="no samples"):
        written(tensorboard.embedding, [])
    with pytest.raises(SampleError, match=r"Mapped\[\d\]: ValueError: no more"):
        written(tensorboard.embedding, Mapped(samples, transform=fails))


# --- without TensorBoard


def test_where_it_is_absent_two_lines_say_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr("datakit.report.tensorboard.writing.find_spec", lambda name: None)
    lines = 'TensorBoard is not installed; get it with\npip install "datakit[tensorboard]"'
    with pytest.raises(DatakitError) as caught:
        tensorboard.writer(tmp_path / "run")
    assert str(caught.value) == lines
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(command, ["inspect", "faces", "--synthetic", "--tensorboard", "run"])
    assert result.exit_code == 1
    assert lines in result.stderr
    assert list(tmp_path.iterdir()) == []


# --- the command

CHAIN = ["-t", "Rescale(40)", "-t", "RandomCrop(32)", "-t", "ToTensor", "-t", f"{HALF!r}"]
FACES = ["inspect", "faces", "--synthetic", "--records", "12", *CHAIN, "--samples", "2", "--survey", "12"]


@pytest.fixture
def here(tmp_path, monkeypatch, one_thread):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def typed(*words, code=0):
    result = CliRunner().invoke(command, list(map(str, words)))
    assert result.exit_code == code, result.output
    return result


def test_the_command_writes_a_run_beside_the_page(here):
    result = typed(*FACES, "--tensorboard", "runs/first")
    assert result.stdout.endswith("run: runs/first (tensorboard --logdir runs/first)\n")
    assert sorted(path.name for path in here.iterdir()) == ["datakit-inspect.html", "runs"]
    assert [path.name for path in (here / "runs").iterdir()] == ["first"]
    run = Run(here / "runs" / "first")
    first, second = (seen["index"] for seen in json.loads(typed(*FACES, "--json").stdout)["samples"])
    assert run.tags["images"] == ["batch", f"stages/{first}", f"stages/{second}", f"epochs/{first}"]
    points, tiles, (head, *rows) = run.projection()
    assert head == ["index", "path"]
    assert sorted(int(index) for index, _ in rows) == list(range(12))
    assert (points.shape, tiles.shape) == ((12, 32 * 32 * 3), (12, 64, 64, 3))
    assert 0 <= points.min() < points.max() <= 1  # so the normalisation was undone
    assert "FaceLandmarks" in run.text("what was inspected")


def test_sounds_are_drawn_and_can_be_heard(written):
    digits = SpokenDigits.synthetic(n=8, transform=Compose([Gain(-6.0), Spectrogram(n_fft=200)]))
    shown = datakit.show(digits, samples=2)
    run = written(tensorboard.inspection, shown.inspection)
    first = shown.inspection.samples[0]
    assert set(run.tags["images"]) == {"samples", *(f"stages/{seen.key.index}" for seen in shown.inspection.samples)}
    assert run.image("samples").std() > 8
    sounds = [tag for tag in run.tags["audio"] if tag.startswith(f"sounds/{first.key.index}/")]
    assert len(run.tags["audio"]) == 2 * len(sounds) == 4
    for tag, stage in zip(sounds, first.stages, strict=False):
        (event,) = run.events.Audio(tag)
        heard, rate = soundfile.read(io.BytesIO(event.encoded_audio_string))
        assert rate == event.sample_rate == 8000
        np.testing.assert_allclose(heard, stage.sample["waveform"][0], atol=2 / 32768)


def test_the_figures_are_those_of_numpy(here):
    typed("inspect", "faces", "--synthetic", "--records", "6", "--samples", "1", "--tensorboard", "run")
    run = Run(here / "run")
    images = [sample["image"] for sample in FaceLandmarks.synthetic(n=6)]
    pixels = np.concatenate([image.reshape(-1, 3) for image in images]) / 255
    for place, name in enumerate(("red", "green", "blue")):
        for kind, value in (("mean", pixels[:, place].mean()), ("std", pixels[:, place].std())):
            assert run.events.Scalars(f"channel {kind}/{name}")[0].value == pytest.approx(value, abs=1e-4)
    widths = [image.shape[1] for image in images]
    assert f"| width | {min(widths)} | {np.median(widths):g} | {max(widths)} |" in run.text("figures/image sizes")


def test_classes_are_counted_and_named(here):
    (here / "own.py").write_text(
        "import numpy as np\n"
        "class Pairs(list):\n"
        "    classes = ('ant|s', 'bees', 'wasps')\n"
        "def pairs():\n"
        "    return Pairs({'image': np.full((8, 8, 3), 9 * i, np.uint8), 'label': int(i > 3)} for i in range(6))\n"
    )
    typed("inspect", "own:pairs", "--tensorboard", "run")
    run = Run(here / "run")
    text = run.text("figures/classes").splitlines()
    assert text[2:] == ["| ant\\|s | 4 | 66.7% |", "| bees | 2 | 33.3% |", "| wasps | 0 | 0.0% |"]
    assert {row[0] for row in run.projection()[2][1:]} == {"ant|s", "bees"}


def test_a_run_has_a_folder_of_its_own(here):
    (here / "used").mkdir()
    (here / "used" / "notes.txt").write_text("mine")
    assert (
        "not empty; a run needs a folder of its own, such as used-2"
        in typed(*FACES, "--tensorboard", "used", code=2).stderr
    )
    assert [path.name for path in here.iterdir()] == ["used"]
    assert (
        "--serve and --tensorboard do not go together" in typed(*FACES, "--tensorboard", "x", "--serve", code=2).stderr
    )
    (here / "empty").mkdir()
    document = json.loads(typed(*FACES, "--tensorboard", "empty", "--png", "grid.png", "--json").stdout)
    assert (document["tensorboard"], document["page"]) == ("empty", "grid.png")
    assert any(path.name.startswith("events.out") for path in (here / "empty").iterdir())
    assert sorted(path.name for path in here.iterdir()) == ["empty", "grid.png", "used"]


def test_what_has_no_images_and_what_cannot_be_read_leaves_a_run_too(here, monkeypatch):
    (here / "words.py").write_text("def words():\n    return [{'word': 'a'}, {'word': 'b'}]\n")
    typed("inspect", "words:words", "--tensorboard", "run")
    assert Run(here / "run").tags["images"] == []
    monkeypatch.setattr("datakit.report.tensorboard.run.inspection", lambda *_: (_ for _ in ()).throw(OSError("full")))
    typed("inspect", "words:words", "--tensorboard", "other", code=1)
    assert not [path for path in here.iterdir() if "other" in path.name]
