"""Folders of images: one folder a class, or no classes at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from datakit.chain import Transform
from datakit.columns import Columns, Record
from datakit.dataset import Dataset
from datakit.errors import MissingDataError
from datakit.sample import Sample
from datakit.vision.io import IMAGE_SUFFIXES, read_image


class ImageFiles(Dataset):
    """The images below a folder, without labels, sorted by path.

    Files with another ending than those of images are left out; hidden files and folders too.

    | key | shape | dtype | meaning |
    | --- | --- | --- | --- |
    | image | (H, W, 3) | uint8 | RGB; of an animation the first frame |
    | index | () | int | place in the sorted list |
    | path | () | str | the image file |

    Raises:
        MissingDataError: there is no such folder, or no image in it.

    Examples:
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> from datakit.vision import ImageFiles
        >>> Path("pictures").mkdir()
        >>> Image.new("RGB", (30, 20)).save("pictures/one.png")
        >>> ImageFiles("pictures")[0]["image"].shape
        (20, 30, 3)
    """

    def __init__(self, root: str | Path, transform: Transform | None = None) -> None:
        super().__init__(root, transform=transform)

    def index(self) -> Columns:
        """Paths of the images, relative to `root`."""
        files = list(image_files(self.root))
        if not files:
            raise MissingDataError(f"{self.root.absolute()} has no images ({', '.join(IMAGE_SUFFIXES)})")
        return Columns(file=files)

    def load(self, record: Record) -> Sample:
        """The image."""
        path = self.root / record.file
        return {"image": read_image(path), "path": str(path)}


class ImageFolder(Dataset):
    """A folder with one folder of images for each class: `root/ants/1.jpg`, `root/bees/2.jpg`.

    Classes are the names of the folders, sorted; images are listed class by class, sorted by path, at any depth. A GIF
    counts as an image and gives its first frame. Files with another ending than those of images, and hidden ones, are
    left out.

    | key | shape | dtype | meaning |
    | --- | --- | --- | --- |
    | image | (H, W, 3) | uint8 | RGB |
    | label | () | int | class, names in `classes` |
    | index | () | int | place in the list |
    | path | () | str | the image file |

    Raises:
        MissingDataError: there is no such folder, it has no folders in it, or one of these has no image.

    Examples:
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> from datakit.vision import ImageFolder
        >>> for name in ("ants/1.png", "ants/2.png", "bees/1.png"):
        ...     Path("insects", name).parent.mkdir(parents=True, exist_ok=True)
        ...     Image.new("RGB", (30, 20)).save(Path("insects", name))
        >>> ImageFolder("insects")
        ImageFolder('insects'): 3 records, 2 classes: ants, bees
        >>> ImageFolder("insects")[2]["label"]
        1
    """

    def __init__(self, root: str | Path, transform: Transform | None = None) -> None:
        super().__init__(root, transform=transform)

    def index(self) -> Columns:
        """Paths relative to `root`, and labels."""
        self.classes = [entry.name for entry in _visible(self.root) if entry.is_dir()]
        if not self.classes:
            raise MissingDataError(
                f"{self.root.absolute()} has no folders in it; ImageFolder expects one for each class. "
                "For a folder of images without classes there is ImageFiles"
            )
        found = [list(image_files(self.root, name)) for name in self.classes]
        if empty := [name for name, files in zip(self.classes, found, strict=True) if not files]:
            raise MissingDataError(f"no images in {', '.join(repr(name) for name in empty)} of {self.root.absolute()}")
        labels = [label for label, files in enumerate(found) for _ in files]
        return Columns(file=[file for files in found for file in files], label=labels)

    def load(self, record: Record) -> Sample:
        """The image and its class."""
        path = self.root / record.file
        return {"image": read_image(path), "label": record.label, "path": str(path)}


def image_files(root: Path, below: str = "") -> Iterator[str]:
    """Paths of the images in `root / below`, relative to `root`, sorted. A link back to a folder above is not followed.

    Raises:
        MissingDataError: there is no such folder.
        PermissionError: a folder that may not be read.
    """
    above = frozenset({_identity(root)}) if below else frozenset()
    return _walk(root, below, above)


def _walk(root: Path, below: str, above: frozenset[tuple[int, int]]) -> Iterator[str]:
    here = _identity(root / below)
    if here in above:
        return
    for entry in _visible(root / below):
        path = f"{below}/{entry.name}" if below else entry.name
        if entry.is_dir():
            yield from _walk(root, path, above | {here})
        elif entry.name.lower().endswith(IMAGE_SUFFIXES):
            yield path


def _identity(folder: Path) -> tuple[int, int]:
    if not folder.is_dir():
        raise MissingDataError(f"there is no folder {folder.absolute()}")
    status = folder.stat()
    return status.st_dev, status.st_ino


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    if not folder.is_dir():
        raise MissingDataError(f"there is no folder {folder.absolute()}")
    with os.scandir(folder) as entries:
        return sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
