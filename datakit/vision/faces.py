"""Face landmarks: the dataset of PyTorch's data-loading tutorial."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from datakit.columns import Columns, Record
from datakit.dataset import Dataset
from datakit.files import Remote, inside
from datakit.sample import Sample
from datakit.tables import read_table
from datakit.vision.io import read_image

POINTS = 68
_COORDINATES = [f"part_{point}_{axis}" for point in range(POINTS) for axis in "xy"]


class FaceLandmarks(Dataset):
    """Photographs of faces with 68 landmarks each, in the iBUG 300-W order, found by dlib.

    Reads `root/faces/face_landmarks.csv` (`image_name, part_0_x, part_0_y … part_67_y`) and the images beside it.

    | key | shape | dtype | meaning |
    | --- | --- | --- | --- |
    | image | (H, W, 3) | uint8 | the photograph, RGB, sizes differ |
    | landmarks | (68, 2) | float32 | x then y, pixels |
    | index | () | int | row of the CSV, from 0 |
    | path | () | str | the image file |

    Source: https://pytorch.org/tutorials/beginner/data_loading_tutorial.html (69 images). Upstream publishes no
    checksum; what was unpacked is recorded in the manifest.

    Raises:
        MissingDataError: the CSV is not there.
        CorruptDataError: naming row and column, for a CSV that is not as above.

    Examples:
        >>> from datakit.vision import FaceLandmarks
        >>> sample = FaceLandmarks.synthetic(n=4)[1]
        >>> sample["image"].shape, sample["landmarks"].shape
        ((389, 209, 3), (68, 2))
    """

    remotes: ClassVar[tuple[Remote, ...]] = (
        Remote(
            "faces.zip", urls=("https://download.pytorch.org/tutorial/faces.zip",), unpack=True, produces=("faces",)
        ),
    )

    needed: ClassVar[tuple[str, ...]] = ("faces/face_landmarks.csv",)

    def index(self) -> Columns:
        """File names and points, from the CSV."""
        folder = self.root / "faces"
        path = folder / "face_landmarks.csv"
        table = read_table(path, {"image_name": str, **dict.fromkeys(_COORDINATES, float)})
        names = table["image_name"].tolist()
        for line, name in enumerate(names, start=2):
            inside(folder, name, f"{path} line {line}, column 'image_name'")
        points = table[_COORDINATES].to_numpy(np.float32).reshape(-1, POINTS, 2)
        return Columns(file=[f"faces/{name}" for name in names], landmarks=points)

    def load(self, record: Record) -> Sample:
        """The photograph and its points."""
        path = self.root / record.file
        return {"image": read_image(path), "landmarks": record.landmarks.copy(), "path": str(path)}

    @staticmethod
    def synthesize(root: Path, n: int, rng: np.random.Generator) -> None:
        """Draw `n` schematic faces of many sizes, colours and poses, with the points that they were drawn from."""
        from datakit.vision.face_drawing import write_faces

        write_faces(root / "faces", n, rng)
