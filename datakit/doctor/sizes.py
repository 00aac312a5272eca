"""About how large the files of the catalog are, for the space that they need; nobody checks these figures."""

from __future__ import annotations

_MB = 1_000_000
SIZES = {
    "MNIST/raw/train-images-idx3-ubyte.gz": (10 * _MB, 47 * _MB),
    "MNIST/raw/t10k-images-idx3-ubyte.gz": (2 * _MB, 8 * _MB),
    "FashionMNIST/raw/train-images-idx3-ubyte.gz": (27 * _MB, 47 * _MB),
    "FashionMNIST/raw/t10k-images-idx3-ubyte.gz": (5 * _MB, 8 * _MB),
    "MNIST/raw/train-labels-idx1-ubyte.gz": (_MB, _MB),
    "MNIST/raw/t10k-labels-idx1-ubyte.gz": (_MB, _MB),
    "FashionMNIST/raw/train-labels-idx1-ubyte.gz": (_MB, _MB),
    "FashionMNIST/raw/t10k-labels-idx1-ubyte.gz": (_MB, _MB),
    "VCTK-Corpus-0.92.zip": (11_750 * _MB, 11_900 * _MB),
    "PennFudanPed.zip": (54 * _MB, 56 * _MB),
    "celeba.zip": (1_450 * _MB, 1_800 * _MB),
    "cifar-10-python.tar.gz": (171 * _MB, 187 * _MB),
    "data.zip": (3 * _MB, 11 * _MB),
    "dev-clean.tar.gz": (338 * _MB, 360 * _MB),
    "dev-other.tar.gz": (315 * _MB, 340 * _MB),
    "faces.zip": (6 * _MB, 6 * _MB),
    "free-spoken-digit-dataset.zip": (17 * _MB, 22 * _MB),
    "test-clean.tar.gz": (347 * _MB, 370 * _MB),
    "test-other.tar.gz": (329 * _MB, 350 * _MB),
    "train-clean-100.tar.gz": (6_390 * _MB, 6_700 * _MB),
    "train-clean-360.tar.gz": (23_000 * _MB, 24_000 * _MB),
    "train-other-500.tar.gz": (30_600 * _MB, 32_000 * _MB),
    "waves_yesno.tar.gz": (5 * _MB, 9 * _MB),
}
"""Name of a file -> bytes of it, and of what is unpacked from it; rounded.

Sources: openslr.org (1, 12), datashare.ed.ac.uk (VCTK), the pages of the datasets, and the files themselves.
"""


def size_of(name: str, size: int | None) -> int | None:
    """Bytes that a file and what is unpacked from it take together; None where nobody knows.

    Args:
        name: of the file.
        size: of it where its dataset says it; then as much again is taken for what is unpacked.

    Examples:
        >>> from datakit.doctor.sizes import size_of
        >>> size_of("faces.zip", None), size_of("mine.zip", 5), size_of("mine.zip", None)
        (12000000, 10, None)
    """
    if name in SIZES:
        return sum(SIZES[name])
    return None if size is None else 2 * size
