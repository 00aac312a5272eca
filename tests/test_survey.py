import numpy as np
import pytest
import scipy.spatial
import torch
from material import Numbers
from PIL import Image

from datakit import Columns, Concat, Dataset, Key, KeySampler, Mapped, Subset
from datakit.chain import same
from datakit.inspection.labels import all_labels, labels_of
from datakit.inspection.mean_shape import mean_shape
from datakit.inspection.moments import Moments, moments_of
from datakit.inspection.survey import Channels
from datakit.inspection.surveying import survey
from datakit.transforms import Compose, Normalize, RandomCrop, Rescale, ToTensor
from datakit.vision import FaceLandmarks, ImageFolder

NORMALIZE = Normalize((0.5, 0.4, 0.3), (0.2, 0.25, 0.3))


class Pixels(Dataset):
    """Noise of many sizes, with a label column; records in `broken` cannot be read."""

    classes = ("ants", "bees", "cows")

    def __init__(self, n=40, transform=None, broken=(), channels=3, shift=0):
        self.n, self.broken, self.channels, self.shift = n, broken, channels, shift
        super().__init__("nowhere", transform=transform)

    def index(self):
        return Columns(number=np.arange(self.n), label=np.arange(self.n) % 2)

    def load(self, record):
        if record.number in self.broken:
            raise ValueError("torn")
        return {"image": self.pixels(record.number), "label": record.label + self.shift}

    def pixels(self, number):
        rng = np.random.default_rng(number)
        return rng.integers(0, 40 + 5 * number, (3 + number % 5, 4 + number % 7, self.channels), dtype=np.uint8)


def truth(images):
    """Mean and standard deviation of each channel over all pixels at once."""
    values = np.concatenate([np.asarray(image, np.float64).reshape(-1, image.shape[-1]) for image in images])
    return values.mean(0), values.std(0)


def chosen(dataset, records, seed=0):
    return KeySampler(len(dataset), seed=seed, shuffle=True, rank=0, world_size=1).order(0)[:records].tolist()


# --- channels and sizes


def test_channels_are_those_of_all_pixels_at_once():
    dataset = Pixels()
    found = survey(dataset, records=None)
    mean, std = truth([dataset.pixels(number) / 255 for number in range(40)])
    np.testing.assert_allclose(found.channels.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(found.channels.std, std, rtol=1e-12)
    assert found.channels.stage == "loaded"
    assert (found.read, found.total, found.failed, found.failures) == (40, 40, 0, ())


def test_the_first_records_of_the_shuffled_order_are_read():
    dataset = Pixels()
    found = survey(dataset, records=7, seed=3)
    assert found.sizes.tolist() == [list(dataset.pixels(index).shape[:2]) for index in chosen(dataset, 7, 3)]
    assert found.read == 7
    mean, _ = truth([dataset.pixels(index) / 255 for index in chosen(dataset, 7, 3)])
    np.testing.assert_allclose(found.channels.mean, mean, rtol=1e-12)


def test_channels_are_of_what_normalize_gets():
    chain = [Rescale((12, 9)), RandomCrop(8), ToTensor()]
    dataset = Pixels(transform=Compose([*chain, NORMALIZE, _brighter]))
    found = survey(dataset, records=20, seed=5)
    bare = dataset.with_transform(Compose(chain))
    images = [bare[Key(5, 0, index)]["image"].permute(1, 2, 0).numpy() for index in chosen(dataset, 20, 5)]
    mean, std = truth(images)
    np.testing.assert_allclose(found.channels.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(found.channels.std, std, rtol=1e-12)
    assert found.channels.stage == "ToTensor()"
    assert survey(bare, records=20, seed=5).channels == found.channels


def _brighter(sample):
    return {**sample, "image": sample["image"] * 100}


def test_torchvision_normalize_is_known_in_the_chain_and_in_a_foreign_dataset():
    from torchvision.transforms import v2

    torchvision = v2.Normalize([0.5, 0.4, 0.3], [0.2, 0.25, 0.3])
    plain = survey(Pixels(transform=ToTensor()), records=None).channels
    assert survey(Pixels(transform=Compose([ToTensor(), torchvision])), records=None).channels == plain

    class Foreign(list):
        transform = torchvision

        def __getitem__(self, index):
            return torchvision(torch.from_numpy(list.__getitem__(self, index)).permute(2, 0, 1) / 255), index

    undone = survey(Foreign(Pixels().pixels(number) for number in range(40)), records=None).channels
    np.testing.assert_allclose(undone.mean, plain.mean, rtol=1e-6)
    np.testing.assert_allclose(undone.std, plain.std, rtol=1e-6)


def test_a_large_mean_costs_no_digits():
    rng = np.random.default_rng(0)
    images = [1e6 + rng.normal(size=(5, 6, 1)) for _ in range(200)]
    total = moments_of(images[0])
    for image in images[1:]:
        total = total + moments_of(image)
    mean, std = truth(images)
    np.testing.assert_allclose(total.mean, mean, rtol=1e-14)
    np.testing.assert_allclose(total.std, std, rtol=1e-9)


def test_pieces_of_a_large_image_make_the_whole(monkeypatch):
    image = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    whole = moments_of(image)
    monkeypatch.setattr("datakit.inspection.moments._PIECE", 7)
    pieces = moments_of(torch.from_numpy(image).permute(2, 0, 1))
    assert whole.count == pieces.count == 3000
    np.testing.assert_allclose(pieces.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(pieces.std, whole.std, rtol=1e-12)


def test_images_of_several_kinds_and_values_that_are_not_finite():
    both = Concat([Pixels(3), Pixels(3, channels=1)])
    assert survey(both).channels is None
    assert len(survey(both).sizes) == 6
    broken = Mapped([{"image": torch.full((1, 2, 2), value)} for value in (0.25, float("nan"), 0.75)])
    assert survey(broken).channels == Channels((0.5,), (0.25,), "loaded")


@pytest.mark.parametrize("workers", [1, 2])
def test_the_number_of_workers_changes_nothing(workers):
    dataset = FaceLandmarks.synthetic(n=40, transform=Compose([Rescale(40), RandomCrop(32), ToTensor(), NORMALIZE]))
    alone, shared = (survey(dataset, records=37, seed=2, workers=count) for count in (0, workers))
    assert alone.read == 37
    for name in ("read", "total", "failures", "failed", "sizes", "channels", "classes"):
        assert same(getattr(alone, name), getattr(shared, name)), name
    assert same(vars(alone.shape), vars(shared.shape))


def test_progress_goes_from_nothing_to_everything():
    calls = []
    survey(Pixels(broken=(3, 4)), records=None, progress=lambda *call: calls.append(call))
    assert [done for _, done, _ in calls] == [0, 16, 32, 40]
    assert {what for what, *_ in calls} == {"figures of 40 records"}
    assert {total for *_, total in calls} == {40}


def test_the_global_generators_are_left_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    survey(Pixels(transform=Compose([Rescale(8), RandomCrop(4)])))
    assert torch.equal(torch.get_rng_state(), before)


def test_real_photographs_agree_with_pillow_and_numpy(hymenoptera):
    photographs = hymenoptera / "val"
    found = survey(ImageFolder(photographs), records=None, workers=1)
    total, squares, count, sizes = np.zeros(3), np.zeros(3), 0, []
    for path in photographs.glob("*/*.jpg"):
        with Image.open(path) as photograph:
            values = np.asarray(photograph.convert("RGB"), np.float64).reshape(-1, 3)
            sizes.append(photograph.size[::-1])
        total, squares, count = total + values.sum(0), squares + (values**2).sum(0), count + len(values)
    mean = total / count
    assert sorted(map(tuple, found.sizes.tolist())) == sorted(sizes)
    np.testing.assert_allclose(found.channels.mean, mean / 255, rtol=1e-10)
    np.testing.assert_allclose(found.channels.std, np.sqrt(squares / count - mean**2) / 255, rtol=1e-10)
    assert found.channels.line.startswith("Normalize(mean=(0.")
    folders = {folder.name: len(list(folder.glob("*.jpg"))) for folder in sorted(photographs.iterdir())}
    assert dict(zip(found.classes.names, found.classes.counts, strict=True)) == folders


# --- what cannot be read


def test_bad_records_are_named_and_counted():
    found = survey(Pixels(broken=(3, 5)), records=None)
    assert (found.read, found.failed) == (38, 2)
    assert sorted(found.failures) == [f"Pixels[{index}]: ValueError: torn (loading)" for index in (3, 5)]
    all_bad = survey(Pixels(60, broken=range(60)), records=None)
    assert (all_bad.read, all_bad.failed, len(all_bad.failures), all_bad.channels) == (0, 60, 20, None)
    assert all_bad.classes.counts == (30, 30, 0)


def test_a_chain_that_fails_counts_too():
    found = survey(Pixels(transform=RandomCrop(6)), records=None)
    small = sum(min(Pixels().pixels(number).shape[:2]) < 6 for number in range(40))
    assert found.failed == small > 0
    assert "RandomCrop(6)" in found.failures[0]


@pytest.mark.parametrize(
    "dataset", [Mapped([]), Mapped(["a", "b"]), Numbers(5), Mapped([{"text": "x", "score": 0.5}] * 3), [(1.5, "a")]]
)
def test_datasets_without_images(dataset):
    found = survey(dataset)
    assert (found.read, found.total, found.failed) == (len(dataset), len(dataset), 0)
    assert (found.sizes.shape, found.channels, found.classes, found.shape) == ((0, 2), None, None, None)


def test_one_record():
    found = survey(Pixels(1))
    assert (found.read, found.sizes.tolist(), found.classes.counts) == (1, [[3, 4]], (1, 0, 0))
    face = survey(FaceLandmarks.synthetic(n=1))
    assert face.shape.count == 1
    assert np.abs(face.shape.spread).max() < 1e-12


def test_tuples_of_a_foreign_dataset():
    images = [Image.fromarray(Pixels().pixels(number)) for number in range(6)]
    found = survey([(image, place % 3) for place, image in enumerate(images)])
    assert sorted(found.sizes.tolist()) == sorted([image.height, image.width] for image in images)
    mean, _ = truth([np.asarray(image) / 255 for image in images])
    np.testing.assert_allclose(found.channels.mean, mean)
    assert (found.classes.names, found.classes.counts) == (("0", "1", "2"), (2, 2, 2))


# --- classes


def test_classes_of_all_records_are_counted_without_reading_them():
    dataset = Pixels(40, broken=range(1, 40))
    expected = ("label", ("ants", "bees", "cows"), (20, 20, 0), True)
    assert _classes(survey(dataset, records=3)) == expected
    assert _classes(survey(dataset.as_tuple("image", "label"), records=1)) == expected
    part = Subset(dataset, [0, 2, 4, 5])
    assert _classes(survey(part, records=1)) == ("label", ("ants", "bees", "cows"), (3, 1, 0), True)
    assert _classes(survey(Concat([part, dataset]), records=1))[2] == (23, 21, 0)


def _classes(found):
    return (found.classes.key, found.classes.names, found.classes.counts, found.classes.of_all)


def test_a_column_that_is_not_the_label_is_not_believed():
    found = survey(Pixels(shift=1), records=10).classes
    odd = sum(index % 2 for index in chosen(Pixels(), 10))
    assert (found.counts, found.of_all) == ((0, 10 - odd, odd), False)


def test_targets_of_torchvision_are_an_index():
    from torchvision.datasets import FakeData

    class Listed(FakeData):
        classes = ("a", "b", "c")

    Listed.__module__ = "torchvision.datasets.fake"
    foreign = Listed(30, (3, 4, 4), 3)
    labels = [int(foreign[index][1]) for index in range(30)]
    assert not survey(foreign, records=5).classes.of_all
    foreign.targets = labels
    found = survey(foreign, records=5).classes
    assert (found.counts, found.of_all) == (tuple(np.bincount(labels, minlength=3).tolist()), True)
    foreign.target_transform = lambda label: label
    assert all_labels(Mapped(foreign)) is None
    foreign.target_transform, foreign.targets = None, [0.5] * 30
    assert all_labels(Mapped(foreign)) is None


def test_labels_of_objects_leave_out_the_background():
    samples = [
        {"image": np.zeros((4, 4, 3), np.uint8), "labels": torch.tensor([1, 1, 4])},
        {"image": np.zeros((4, 4, 3), np.uint8), "labels": np.array([2], np.int64)},
        {"image": np.zeros((4, 4, 3), np.uint8), "labels": torch.zeros(0, dtype=torch.int64)},
    ]
    dataset = Mapped(samples)
    assert _classes(survey(dataset, records=None))[:3] == ("labels", ("1", "2", "4"), (2, 1, 1))
    dataset.classes = ("background", "cat", "dog", "fish")
    assert _classes(survey(dataset, records=None))[:3] == ("labels", ("cat", "dog", "fish", "4"), (2, 1, 0, 1))


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        ({"label": 3}, ("label", [3])),
        ({"label": np.int32(3)}, ("label", [3])),
        ({"label": torch.tensor(3)}, ("label", [3])),
        ({"labels": [1, 2]}, ("labels", [1, 2])),
        (("text", 3), ("label", [3])),
        ((torch.zeros(3), torch.tensor(2)), ("label", [2])),
        ((torch.zeros(3, 4, 4), {"labels": torch.tensor([5])}), ("labels", [5])),
        ({"label": 0.5}, None),
        ({"label": torch.tensor([0, 1])}, None),
        ({"labels": torch.tensor([0.5])}, None),
        ({"labels": [[1], [2]]}, None),
        ({"label": "cat"}, None),
        (("a", "b"), None),
        (3, None),
    ],
)
def test_what_counts_as_a_label(sample, expected):
    found = labels_of(sample)
    assert (found and (found[0], found[1].tolist())) == expected


# --- the mean shape


def shapes(count, turn=0.3, noise=0.0, seed=0):
    """Copies of one lopsided shape under random similarity transforms, and that shape, centred, of size 1."""
    rng = np.random.default_rng(seed)
    shape = np.array([[0.0, 0], [4, 1], [5, 6], [1, 3], [2, 9]])
    made = []
    for _ in range(count):
        angle = rng.uniform(-turn, turn)
        turned = (shape + noise * rng.normal(size=shape.shape)) @ _rotation(angle)
        made.append(turned * rng.uniform(0.2, 9) + rng.uniform(-500, 500, 2))
    centred = shape - shape.mean(0)
    return np.array(made), centred / np.linalg.norm(centred)


def _rotation(angle):
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def test_a_known_shape_comes_back():
    made, known = shapes(50, turn=np.pi)
    found = mean_shape(made)
    assert found.count == 50
    assert np.linalg.norm(found.points) == pytest.approx(1)
    assert np.abs(found.points.mean(0)).max() < 1e-12
    assert found.spread.max() < 1e-9
    np.testing.assert_allclose(_distances(found.points), _distances(known), atol=1e-9)
    assert np.sign(np.linalg.det(found.points[:2])) == np.sign(np.linalg.det(known[:2]))  # not mirrored


def _distances(points):
    return np.linalg.norm(points[:, None] - points[None], axis=2)


def test_the_mean_is_as_upright_as_the_records():
    made, known = shapes(4000, turn=0.5)
    np.testing.assert_allclose(mean_shape(made).points, known, atol=0.02)
    np.testing.assert_allclose(mean_shape(made @ _rotation(2.0)).points, known @ _rotation(2.0), atol=0.02)
    once = mean_shape(shapes(30, noise=0.4)[0])
    np.testing.assert_allclose(mean_shape(shapes(30, noise=0.4)[0][::-1]).points, once.points, atol=1e-9)


def test_two_shapes_agree_with_scipy():
    made, _ = shapes(2, turn=1.0, noise=0.5, seed=4)
    found = mean_shape(made)
    first, second, disparity = scipy.spatial.procrustes(*made)
    assert disparity > 1e-3
    mean = first + second / np.linalg.norm(second)
    np.testing.assert_allclose(_distances(found.points), _distances(mean / np.linalg.norm(mean)), atol=1e-10)
    likeness = np.sqrt(1 - disparity)  # two shapes of size 1 at this inner product lie this far from their mean:
    assert (found.spread**2).sum() == pytest.approx((1 - likeness) / (1 + likeness), rel=1e-9)


def test_mirrored_shapes_are_not_turned_over():
    made, _ = shapes(1)
    pair = np.stack([made[0], made[0] * (-1, 1)])
    assert mean_shape(pair).spread.max() > 0.1


def test_shapes_that_are_none_are_left_out():
    made, known = shapes(6)
    made[2, 1, 0] = np.nan
    made[4] = 7.5
    found = mean_shape(made)
    assert found.count == 4
    np.testing.assert_allclose(_distances(found.points), _distances(known), atol=1e-9)
    assert mean_shape(made[[2, 4]]) is None
    assert mean_shape(np.zeros((0, 5, 2))) is None
    assert mean_shape(np.ones((3, 1, 2))) is None


def test_the_mean_face_is_upright(faces):
    found = survey(faces, records=None).shape
    assert (found.count, found.points.shape, found.spread.shape) == (69, (68, 2), (68,))
    brows, chin, left_eye, right_eye = (
        found.points[part].mean(0) for part in (slice(17, 27), slice(7, 10), slice(36, 42), slice(42, 48))
    )
    assert brows[1] < left_eye[1] < chin[1]
    assert left_eye[0] < right_eye[0]
    assert abs(left_eye[1] - right_eye[1]) < 0.02
    assert 0 < found.spread.max() < 0.1


def test_landmarks_of_different_number_have_no_mean_shape():
    points = [np.random.default_rng(0).normal(size=(count, 2)) for count in (4, 5)]
    assert survey(Mapped([{"landmarks": value} for value in points])).shape is None
    assert survey(Mapped([{"landmarks": value} for value in points[:1] * 2])).shape.count == 2


def test_moments_add_in_any_grouping():
    a, b, c = (moments_of(Pixels().pixels(number)) for number in (11, 12, 13))
    left, right = (a + b) + c, a + (b + c)
    assert isinstance(left, Moments)
    np.testing.assert_allclose(left.std, right.std, rtol=1e-13)
