"""MNIST and the datasets in its layout: four idx files of grey images and labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np

from datakit.chain import Transform
from datakit.columns import Columns, Record
from datakit.dataset import Dataset
from datakit.errors import CorruptDataError
from datakit.files import Remote
from datakit.files.file_array import Bytes, FileArray
from datakit.files.prepare import lacking
from datakit.sample import Sample
from datakit.vision.idx import read_idx, write_idx

_SIDE = 28
_PREFIXES = {"train": "train", "test": "t10k"}


def _remotes(folder: str, address: str, checksums: dict[str, str]) -> tuple[Remote, ...]:
    return tuple(
        Remote(
            f"{folder}/{name}.gz",
            urls=(f"{address}/{name}.gz",),
            md5=md5,
            unpack=True,
            produces=(f"{folder}/{name}",),
        )
        for name, md5 in checksums.items()
    )


class _IdxImages(Dataset):
    """Images and labels in four files of one folder, plain or compressed."""

    splits: ClassVar[tuple[str, ...]] = ("train", "test")
    _folder: ClassVar[str]

    def __init__(
        self, root: str | Path, split: str | None = None, transform: Transform | None = None, *, download: bool = False
    ) -> None:
        self.remotes = self._plain(root)  # type: ignore[misc]  # a compressed file will do, and is left as it is
        super().__init__(root, split, transform, download=download)

    @classmethod
    def missing(cls, root: str | Path, split: str | None = None) -> list[str]:
        """As of `Dataset`; a compressed file will do."""
        return lacking(cls._plain(root), root)

    @classmethod
    def _plain(cls, root: str | Path) -> tuple[Remote, ...]:
        """Those of which not even the compressed file is there."""
        return tuple(remote for remote in cls.remotes if not Path(root, remote.name).is_file())

    def index(self) -> Columns:
        """Labels; the images are looked at only to count them."""
        images, labels = (self._file(kind) for kind in ("images-idx3", "labels-idx1"))
        self._images = FileArray(_read_images, images)
        values = read_idx(labels, ndim=1)
        if len(values) != len(self._images.array):
            raise CorruptDataError(
                f"{labels}: {len(values):,} labels for {len(self._images.array):,} images in {images.name}; "
                f"delete both and get them again"
            )
        if values.max() >= len(self.classes):
            row = int(np.argmax(values >= len(self.classes)))
            raise CorruptDataError(
                f"{labels}: label {values[row]} of image {row}, there are {len(self.classes)} classes"
            )
        return Columns(row=np.arange(len(values), dtype=np.int32), label=values.copy())

    def load(self, record: Record) -> Sample:
        """A copy of the image, and its label."""
        return {"image": self._images.array[record.row].copy(), "label": record.label}

    def files_of(self, index: int) -> tuple[Path, ...]:
        """The file of all images."""
        return (self._images.path.absolute(),)

    def _file(self, kind: str) -> Path:
        """The plain file, or else the compressed one."""
        plain = self.root / self._folder / f"{_PREFIXES[str(self.split)]}-{kind}-ubyte"
        packed = plain.with_name(f"{plain.name}.gz")
        return packed if packed.exists() and not plain.exists() else plain


def _read_images(path: Path) -> Bytes:
    images = read_idx(path, ndim=3)
    if images.shape[1:] != (_SIDE, _SIDE):
        raise CorruptDataError(f"{path}: images of {images.shape[1]} x {images.shape[2]} pixels, expected 28 x 28")
    return images[..., None]


class MNIST(_IdxImages):
    """Handwritten digits: 60,000 images to train on and 10,000 to test on, 28 x 28 pixels, grey.

    Reads `root/MNIST/raw/{train,t10k}-{images-idx3,labels-idx1}-ubyte`, which is where torchvision puts them. A plain
    file is mapped into memory, and its pages are shared by all workers. Where there is only the file with `.gz`, it is
    unpacked into memory instead, 47 MB to train on: once where workers are forked, once a worker where they are
    spawned. `download=True` fetches what is in neither form, and leaves plain files.

    | key | shape | dtype | meaning |
    | --- | --- | --- | --- |
    | image | (28, 28, 1) | uint8 | the digit, white on black |
    | label | () | int | the digit, names in `classes` |
    | index | () | int | place in the file |

    Source: http://yann.lecun.com/exdb/mnist/, from the mirror that torchvision uses, with its checksums.

    Raises:
        MissingDataError: one of the files is there in neither form.
        CorruptDataError: naming the file, for one that is not as above.

    Examples:
        >>> from datakit.vision import MNIST
        >>> sample = MNIST.synthetic(n=10, split="test")[3]
        >>> sample["image"].shape, sample["label"]
        ((28, 28, 1), 7)
    """

    classes = (
        *("0 - zero", "1 - one", "2 - two", "3 - three", "4 - four"),
        *("5 - five", "6 - six", "7 - seven", "8 - eight", "9 - nine"),
    )
    _folder = "MNIST/raw"
    remotes: ClassVar[tuple[Remote, ...]] = _remotes(
        _folder,
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        {
            "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
            "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
            "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
        },
    )

    @staticmethod
    def synthesize(root: Path, n: int, rng: np.random.Generator) -> None:
        """Draw `n` digits for each split: strokes of many widths, slants, sizes and places, with noise."""
        from datakit.vision.digit_drawing import draw_digit

        _write(root / "MNIST" / "raw", n, rng, draw_digit)


class FashionMNIST(_IdxImages):
    """Pictures of clothes from a shop: 60,000 to train on and 10,000 to test on, 28 x 28 pixels, grey.

    Reads `root/FashionMNIST/raw`, with the files of `MNIST`, plain or compressed; what is said there of memory and
    of `download` holds here.

    | key | shape | dtype | meaning |
    | --- | --- | --- | --- |
    | image | (28, 28, 1) | uint8 | the piece, light on black |
    | label | () | int | kind of the piece, names in `classes` |
    | index | () | int | place in the file |

    Source: https://github.com/zalandoresearch/fashion-mnist, with the checksums of torchvision.

    Raises:
        MissingDataError: one of the files is there in neither form.
        CorruptDataError: naming the file, for one that is not as above.

    Examples:
        >>> from datakit.vision import FashionMNIST
        >>> clothes = FashionMNIST.synthetic(n=10)
        >>> clothes.classes[clothes[2]["label"]]
        'Pullover'
    """

    classes = (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    )
    _folder = "FashionMNIST/raw"
    remotes: ClassVar[tuple[Remote, ...]] = _remotes(
        _folder,
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        {
            "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
            "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
            "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
        },
    )

    @staticmethod
    def synthesize(root: Path, n: int, rng: np.random.Generator) -> None:
        """Draw `n` outlines of clothes for each split, in many sizes, places and shades, with noise."""
        from datakit.vision.clothes_drawing import draw_piece

        _write(root / "FashionMNIST" / "raw", n, rng, draw_piece)


def _write(folder: Path, n: int, rng: np.random.Generator, draw: Callable[[int, np.random.Generator], Bytes]) -> None:
    folder.mkdir(parents=True)
    for prefix in _PREFIXES.values():
        labels = rng.permutation(np.arange(n) % 10).astype(np.uint8)
        write_idx(folder / f"{prefix}-images-idx3-ubyte", np.stack([draw(int(label), rng) for label in labels]))
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", labels)
