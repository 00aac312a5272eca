"""CelebA: faces with attributes, landmarks and identities."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from datakit.columns import Columns, Record
from datakit.dataset import Dataset
from datakit.errors import CorruptDataError, MissingDataError
from datakit.files import Remote
from datakit.sample import Sample
from datakit.vision.celeba_lists import Listing, read_listing
from datakit.vision.io import IMAGE_SUFFIXES, read_image

POINTS = ("lefteye", "righteye", "nose", "leftmouth", "rightmouth")
_IMAGES = "celeba/img_align_celeba"
_ATTRIBUTES, _LANDMARKS = "list_attr_celeba.txt", "list_landmarks_align_celeba.txt"
_IDENTITY, _PARTITION = "identity_CelebA.txt", "list_eval_partition.txt"
_PARTS = {"train": 0, "valid": 1, "test": 2}
_BY_HAND = (
    "get img_align_celeba.zip (MD5 00d2c5bc6d35e252742224ab0c1e8fcb) by hand from "
    "http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html and unpack it into the folder celeba; put "
    f"{_ATTRIBUTES}, {_LANDMARKS}, {_IDENTITY} and {_PARTITION} into celeba too, as far as they are needed; "
    "pack that folder into celeba.zip for a mirror"
)


class CelebA(Dataset):
    """Aligned photographs of celebrities, with 40 attributes, 5 landmarks and the identity of each.

    Reads the images in `root/celeba/img_align_celeba` and, in `root/celeba`, the text files below. A text file that is
    not there leaves out its key, so that the folder of images alone will do; each must name every image.

    | key | shape | dtype | meaning |
    | --- | --- | --- | --- |
    | image | (218, 178, 3) | uint8 | the photograph, RGB |
    | attributes | (40,) | bool | from `list_attr_celeba.txt`, names in `attributes` of the dataset |
    | landmarks | (5, 2) | float32 | from `list_landmarks_align_celeba.txt`: x then y, pixels |
    | identity | () | int | from `identity_CelebA.txt`, 1 to 10,177 |
    | index | () | int | place in the split, in the order of the text files; without them sorted by name |
    | path | () | str | the image file |

    The landmarks are the left and the right eye (left in the picture), the nose and the left and the right corner of
    the mouth. Upstream gives whole numbers, the indices of pixels, and they stay as they are: the middle of such a
    pixel is half a pixel further to the right and down.

    Without `split` it is all of the images, which is what can be had without `list_eval_partition.txt`; torchvision
    takes `train`. Bounding boxes (`list_bbox_celeba.txt`) belong to the images before they were aligned and are not
    read.

    Source: http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html (202,599 images of 10,177 persons, for research).

    Attributes:
        attributes: names of the attributes; none without their file.

    Raises:
        MissingDataError: there are no images, an image that a text file names is not there, or `split` is given and the
            partition is not there.
        CorruptDataError: naming file and line, for a text file that is not as above or does not fit the images.

    Examples:
        >>> from datakit.vision import CelebA
        >>> faces = CelebA.synthetic(n=8, split="train")
        >>> sample = faces[0]
        >>> sample["image"].shape, sample["landmarks"].shape, sample["attributes"].shape
        ((218, 178, 3), (5, 2), (40,))
        >>> [name for name, is_so in zip(faces.attributes, sample["attributes"]) if is_so]
        ['Brown_Hair']
    """

    splits = ("all", "train", "valid", "test")
    mixed_splits = ("all",)
    attributes: tuple[str, ...] = ()
    remotes: ClassVar[tuple[Remote, ...]] = (Remote("celeba.zip", unpack=True, produces=(_IMAGES,), manual=_BY_HAND),)

    def index(self) -> Columns:
        """Names, and what the text files say of them."""
        files = _image_names(self.root / _IMAGES)
        lists = self._lists()
        _check_same_names(lists)
        names = lists[0].names if lists else sorted(files)
        if lists:
            _check_files(lists[0], files, self.root / _IMAGES)
        by_name = {listing.path.name: listing for listing in lists}
        kept = self._kept(by_name.get(_PARTITION), len(names))
        values = self._values(by_name)
        return Columns(
            file=[f"{_IMAGES}/{names[row]}" for row in kept.tolist()],
            **{key: np.ascontiguousarray(value[kept]) for key, value in values.items()},
        )

    def load(self, record: Record) -> Sample:
        """The photograph and what is known of it."""
        path = self.root / record.file
        known = {key: value for key, value in vars(record).items() if key != "file"}
        copied = {key: value.copy() if isinstance(value, np.ndarray) else value for key, value in known.items()}
        return {"image": read_image(path), **copied, "path": str(path)}

    def _lists(self) -> list[Listing]:
        """The text files that are there."""
        paths = [self.root / "celeba" / name for name in (_ATTRIBUTES, _LANDMARKS, _IDENTITY, _PARTITION)]
        return [
            read_listing(path, has_header=path.name in (_ATTRIBUTES, _LANDMARKS)) for path in paths if path.exists()
        ]

    def _values(self, lists: dict[str, Listing]) -> dict[str, np.ndarray[Any, Any]]:
        """The columns that the text files give."""
        values: dict[str, np.ndarray[Any, Any]] = {}
        if found := lists.get(_ATTRIBUTES):
            self.attributes = tuple(found.header)
            _check_values(found, (1, -1), "1 nor -1")
            values["attributes"] = found.values == 1
        if found := lists.get(_LANDMARKS):
            if found.header != [f"{point}_{axis}" for point in POINTS for axis in "xy"]:
                raise CorruptDataError(f"{found.path} line 2: x and y of {', '.join(POINTS)} are due here")
            values["landmarks"] = found.values.astype(np.float32).reshape(-1, len(POINTS), 2)
        if found := lists.get(_IDENTITY):
            values["identity"] = found.values[:, 0]
        return values

    def _kept(self, partition: Listing | None, count: int) -> np.ndarray[Any, Any]:
        """The rows of the split."""
        if partition is not None:
            _check_values(partition, tuple(_PARTS.values()), "0 (train), 1 (valid) nor 2 (test)")
        if self.split == "all" or self.split is None:
            return np.arange(count)
        if partition is None:
            raise MissingDataError(
                f"{self.root / 'celeba' / _PARTITION} is missing, which says what belongs to split={self.split!r}; "
                "put it there, or leave split out for all images"
            )
        kept = np.flatnonzero(partition.values[:, 0] == _PARTS[self.split])
        if not len(kept):
            raise CorruptDataError(f"{partition.path}: no image is in {_PARTS[self.split]} ({self.split})")
        return kept

    @staticmethod
    def synthesize(root: Path, n: int, rng: np.random.Generator) -> None:
        """Draw `n` aligned faces; nine of the attributes show in the picture, the others never hold."""
        from datakit.vision.celeba_drawing import write_faces

        write_faces(root / "celeba", n, rng)


def _image_names(folder: Path) -> set[str]:
    """Names of the images in the folder."""
    if not folder.is_dir():
        raise MissingDataError(f"there is no folder {folder.absolute()}")
    names = {name for name in os.listdir(folder) if name.lower().endswith(IMAGE_SUFFIXES) and name[0] != "."}
    if not names:
        raise MissingDataError(f"{folder.absolute()} has no images; 000001.jpg and so on are due in the folder itself")
    return names


def _check_same_names(lists: list[Listing]) -> None:
    for other in lists[1:]:
        first = lists[0]
        if first.names == other.names:
            continue
        row = next((i for i, (a, b) in enumerate(zip(first.names, other.names)) if a != b), None)  # noqa: B905
        if row is None:
            raise CorruptDataError(f"{other.path} lists {len(other.names)} images, {first.path} {len(first.names)}")
        raise CorruptDataError(
            f"{other.place(row)}: {other.names[row]!r}, where {first.place(row)} has {first.names[row]!r}; "
            "the files list the same images in the same order"
        )


def _check_files(listing: Listing, files: set[str], folder: Path) -> None:
    missing = [row for row, name in enumerate(listing.names) if name not in files]
    if missing:
        row = missing[0]
        raise MissingDataError(
            f"{folder / listing.names[row]} is missing, which {listing.place(row)} names; {len(missing)} of "
            f"{len(listing.names)} images are missing: unpack img_align_celeba.zip once more"
        )
    if extra := sorted(files.difference(listing.names)):
        raise CorruptDataError(
            f"{folder / extra[0]} is not in {listing.path}, which lists {len(listing.names)} images where there are "
            f"{len(files)}; take away what does not belong to it"
        )


def _check_values(listing: Listing, allowed: tuple[int, ...], described: str) -> None:
    is_wrong = ~np.isin(listing.values, allowed)
    if is_wrong.any():
        row, column = np.argwhere(is_wrong)[0]
        what = f", {listing.header[column]}" if listing.header else ""
        raise CorruptDataError(f"{listing.place(int(row))}{what}: {listing.values[row, column]} is neither {described}")
