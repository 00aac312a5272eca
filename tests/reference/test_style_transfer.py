"""One picture in the style of another: the bars, the bugs that miss them, and the parts against NumPy and Pillow."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from datakit.errors import DatakitError, MissingDataError, StateError
from datakit.reference import History, checkpoint
from datakit.reference.style_transfer import StyleTransfer, gram, layers, seen

NAME = "style-transfer"


def test_the_honest_run_reaches_its_bars(trained):
    result = trained(NAME)
    assert result.passed, str(result)
    assert "the layers of VGG-19 are random" in result.notes[0]
    with Image.open(result.pictures[0].with_name("result.png")) as picture:
        assert (picture.size, picture.mode) == ((32, 32), "RGB")


MISSED = {"channels-swapped": {2}, "not-scaled": {0, 1, 2, 3}, "pair-swapped": {2}}
"""The bars that each bug misses at least: both losses of those of noise, style and content of the saved picture."""


def test_there_is_a_test_for_each_bug():
    assert StyleTransfer.bugs().keys() == MISSED.keys()


@pytest.mark.parametrize("bug", MISSED)
def test_a_sabotaged_run_misses_the_bars(trained, bug):
    result = trained(NAME, bug, epochs=4)
    failed = {place for place, check in enumerate(result.checks) if not check.passed}
    assert failed >= MISSED[bug], str(result)


def test_the_synthetic_pair_takes_no_pictures():
    with pytest.raises(DatakitError, match="takes no --content"):
        StyleTransfer(options={"style": "waves.png"}).build()


def test_a_run_does_not_go_on_with_other_pictures(tmp_path):
    for folder, shade in (("a", 10), ("b", 200)):
        (tmp_path / folder).mkdir()
        for name in ("dancing.jpg", "picasso.jpg"):
            Image.new("RGB", (300, 280), (shade, 60, len(name))).save(tmp_path / folder / name)
    one, other = (StyleTransfer(tmp_path / folder) for folder in ("a", "b"))
    one.build()
    checkpoint.save(tmp_path, one, History())
    other.build()
    with pytest.raises(StateError, match="its contents is"):
        checkpoint.restore(tmp_path, other, History())


def test_a_run_that_goes_on_ends_with_the_same_picture(trained, tmp_path):
    whole = trained(NAME, epochs=5, out=tmp_path / "whole")
    trained(NAME, epochs=2, out=tmp_path / "parts")
    parts = trained(NAME, epochs=5, out=tmp_path / "parts", resume=True)
    assert (tmp_path / "parts/result.png").read_bytes() == (tmp_path / "whole/result.png").read_bytes()
    assert parts.checks == whole.checks


def test_a_picture_that_is_not_there_is_named(tmp_path):
    with pytest.raises(MissingDataError, match="dancing.jpg is missing under .*, or put dancing.jpg there"):
        StyleTransfer(tmp_path).build()


def test_pictures_of_one_own(tmp_path):
    paths = {kind: tmp_path / f"my-{kind}.png" for kind in ("content", "style")}
    for shade, path in enumerate(paths.values()):
        Image.new("RGB", (300, 280), (90 * shade, 60, 30)).save(path)
    reference = StyleTransfer(tmp_path, options={kind: str(path) for kind, path in paths.items()})
    reference.build()
    assert reference.data == "my-content.png in the style of my-style.png"
    batch = next(iter(reference.loader))
    assert batch["image"].dtype == torch.uint8
    assert batch["image"].shape == (2, 3, 256, 256)
    assert batch["image"][:, 0, 0, 0].tolist() == [0, 90], "content, then style"


def test_the_two_ways_to_a_picture_agree():
    """That of the pipeline, and the one that it is judged by."""
    reference = StyleTransfer()
    reference.build()
    batch = next(iter(reference.loader))
    pair = reference.normalized(batch["image"])
    for own, file in zip(pair, (reference.content, reference.style), strict=True):
        assert (own - seen(file, reference.side)[0]).abs().mean() < 0.05, "in standard deviations of ImageNet"


def test_the_gram_matrix_is_that_of_the_tutorial():
    features = np.random.default_rng(0).normal(size=(1, 3, 4, 5))
    rows = features.reshape(3, 20)
    assert np.allclose(gram(torch.from_numpy(features)).numpy(), rows @ rows.T / (1 * 3 * 4 * 5))


def test_the_layers_are_those_of_torchvision():
    from torchvision.models import vgg19

    with torch.device("meta"):
        names = [name for name in vgg19().state_dict() if name.startswith("features.")]
    torch.manual_seed(1)
    shapes = {f"features.{name}": value.shape for name, value in layers(None).state_dict().items()}
    state = {name: torch.randn(shape) for name, shape in shapes.items()}
    assert list(shapes) == names[:10], "five convolutions, weight and bias"
    assert all(torch.equal(value, state[f"features.{name}"]) for name, value in layers(state).state_dict().items())


def test_the_saved_picture_is_what_was_drawn():
    reference = StyleTransfer()
    reference.build()
    pixels = np.asarray(Image.open(io.BytesIO(reference.result())))
    drawn = reference.drawn[0].detach()[0].permute(1, 2, 0).numpy()
    assert np.abs(pixels / 255 - drawn).max() <= 0.5 / 255 + 1e-6


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("bug", [None, *sorted(StyleTransfer.bugs())])
def test_on_real_pictures(trained, hymenoptera, bug):
    """A white flower in the style of a sunflower."""
    bees = hymenoptera / "train" / "bees"
    pair = {"content": next(bees.glob("90179376*")), "style": next(bees.glob("198508668*"))}
    result = trained(NAME, bug, root=bees, options={kind: str(path) for kind, path in pair.items()})
    assert result.passed == (bug is None), str(result)
