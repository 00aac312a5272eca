"""Penn-Fudan: pedestrians with instance masks, the dataset of PyTorch's detection tutorial."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

import numpy as np

from datakit import collate
from datakit.chain import Transform
from datakit.columns import Columns, Record
from datakit.dataset import Dataset
from datakit.errors import CorruptDataError, MissingDataError
from datakit.files import Remote
from datakit.sample import Sample
from datakit.vision.io import image_size, read_image
from datakit.vision.masks import objects, read_instances

_FOLDER = "PennFudanPed"


class PennFudan(Dataset):
    """Photographs of streets with the pedestrians in them, one mask each.

    Reads `root/PennFudanPed/PNGImages/X.png` and `root/PennFudanPed/PedMasks/X_mask.png`. In a mask 0 is background and
    each other value one person; values may be left out, and of a palette the index counts, not the colour.

    | key | shape | dtype | meaning |
    | --- | --- | --- | --- |
    | image | (H, W, 3) | uint8 | the photograph, RGB, sizes differ |
    | boxes | (N, 4) | float32 | x1 y1 x2 y2, pixels; the tight box of the mask, its last pixel inside |
    | labels | (N,) | int64 | 1, person |
    | masks | (N, H, W) | uint8 | 1 where the person is |
    | area | (N,) | float32 | pixels of the mask, as in COCO; the tutorial has the area of the box |
    | iscrowd | (N,) | int64 | 0 |
    | image_id | () | int | the same as index |
    | index | () | int | place in the list, sorted by name |
    | path | () | str | the image file |

    A `Loader` makes batches of it by `collate.detection`. A mask without persons gives N = 0. Boxes end one pixel after
    the tutorial's, whose coordinates name the last pixel.

    Source: https://www.cis.upenn.edu/~jshi/ped_html/ (170 images, 345 pedestrians). Upstream publishes no checksum;
    what was unpacked is recorded in the manifest.

    Raises:
        MissingDataError: a folder is not there or has no images, or an image has no mask.
        CorruptDataError: a mask has no image.

    Examples:
        >>> from datakit.vision import PennFudan
        >>> sample = PennFudan.synthetic(n=4)[0]
        >>> sample["image"].shape, sample["masks"].shape, sample["labels"].tolist()
        ((197, 222, 3), (3, 197, 222), [1, 1, 1])
    """

    classes = ("background", "person")
    collate_fn = staticmethod(collate.detection)
    remotes: ClassVar[tuple[Remote, ...]] = (
        Remote(
            "PennFudanPed.zip",
            urls=("https://www.cis.upenn.edu/~jshi/ped_html/PennFudanPed.zip",),
            unpack=True,
            produces=(f"{_FOLDER}/PNGImages", f"{_FOLDER}/PedMasks"),
        ),
    )

    def __init__(self, root: str | Path, transform: Transform | None = None, *, download: bool = False) -> None:
        super().__init__(root, transform=transform, download=download)

    needed: ClassVar[tuple[str, ...]] = (f"{_FOLDER}/PNGImages/*.png", f"{_FOLDER}/PedMasks/*.png")

    def index(self) -> Columns:
        """Files of images and masks, from the names in the two folders."""
        folder = self.root / _FOLDER
        images, masks = _pngs(folder / "PNGImages"), _pngs(folder / "PedMasks")
        if not images:
            raise MissingDataError(f"{folder / 'PNGImages'} has no PNG images")
        expected = [f"{name}_mask" for name in images]
        if missing := sorted(set(expected).difference(masks)):
            raise MissingDataError(
                f"{folder / 'PedMasks' / missing[0]}.png is missing ({len(missing)} of {len(images)} masks are); "
                "put the masks there, or take the images without masks away"
            )
        if extra := sorted(set(masks).difference(expected)):
            raise CorruptDataError(
                f"{folder / 'PedMasks' / extra[0]}.png belongs to no image in PNGImages, nor do {len(extra) - 1} other "
                "masks; a mask is named after its image, X_mask.png for X.png"
            )
        return Columns(
            file=[f"{_FOLDER}/PNGImages/{name}.png" for name in images],
            mask=[f"{_FOLDER}/PedMasks/{name}.png" for name in expected],
            image_id=np.arange(len(images)),
        )

    def load(self, record: Record) -> Sample:
        """The photograph and its persons."""
        path, mask = self.root / record.file, self.root / record.mask
        image, instances = read_image(path), read_instances(mask)
        if instances.shape != image.shape[:2]:
            sizes = [f"{height} x {width}" for height, width in (instances.shape, image.shape[:2])]
            raise CorruptDataError(f"{mask} is {sizes[0]}, its image {record.file} {sizes[1]} (height x width)")
        try:
            found = objects(instances)
        except CorruptDataError as error:
            raise CorruptDataError(f"{mask}: {error}") from None
        count = len(found["boxes"])
        return {
            "image": image,
            "boxes": found["boxes"],
            "labels": np.ones(count, np.int64),
            "masks": found["masks"],
            "area": found["area"],
            "iscrowd": np.zeros(count, np.int64),
            "image_id": record.image_id,
            "path": str(path),
        }

    def get_height_and_width(self, index: int) -> tuple[int, int]:
        """Height and width of an image in pixels, from its header alone; for samplers that group by aspect ratio."""
        return image_size(self.root / self.columns[self.position(index)].file)

    @staticmethod
    def synthesize(root: Path, n: int, rng: np.random.Generator) -> None:
        """Draw `n` scenes of many sizes, with one to four figures that may hide each other in part."""
        from datakit.vision.figure_drawing import write_scenes

        write_scenes(root / _FOLDER, n, rng)


def _pngs(folder: Path) -> list[str]:
    """Names, without their ending, of the PNG files in a folder that are not hidden, sorted."""
    if not folder.is_dir():
        raise MissingDataError(f"there is no folder {folder.absolute()}")
    names = os.listdir(folder)
    return sorted(name.removesuffix(".png") for name in names if name.endswith(".png") and not name.startswith("."))
