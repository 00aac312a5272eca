"""Folders of images: one folder a class, or no classes at all."""

from __future__ import annotations

from pathlib import Path

from datakit.chain import Transform
from datakit.columns import Columns, Record
from datakit.dataset import Dataset
from datakit.errors import MissingDataError
from datakit.files.walking import class_files, files_below
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
        files = list(files_below(self.root, IMAGE_SUFFIXES))
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
        hint = "ImageFolder expects one for each class. For a folder of images without classes there is ImageFiles"
        self.classes, files, labels = class_files(self.root, IMAGE_SUFFIXES, "images", hint)
        return Columns(file=files, label=labels)

    def load(self, record: Record) -> Sample:
        """The image and its class."""
        path = self.root / record.file
        return {"image": read_image(path), "label": record.label, "path": str(path)}
