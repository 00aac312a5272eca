"""Reading images: every kind of pixel against arrays drawn here, and every kind of damage against the promises."""

import io
import json
import os
import pickle
import struct
import subprocess
import sys
import threading
import time
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageFile

from datakit.errors import CorruptDataError, MissingDataError, UnknownNameError
from datakit.pixels import exif_orientation, to_array
from datakit.vision.io import IMAGE_SUFFIXES, image_size, read_image

HEIGHT, WIDTH = 48, 64


def drawn() -> np.ndarray:
    """(48, 64, 3), flat squares of 16 pixels in colours that no turn or flip maps to themselves."""
    colours = np.random.default_rng(7).integers(0, 256, (HEIGHT // 16, WIDTH // 16, 3), dtype=np.uint8)
    return colours.repeat(16, 0).repeat(16, 1)


PICTURE = drawn()


def saved(image: Image.Image | np.ndarray, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, format, **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(size: tuple[int, int], depth: int, colour: int, rows: list[bytes], *before: bytes, after: bytes = b"") -> bytes:
    """A PNG written down from its specification, without Pillow."""
    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + b"".join(before) + chunk(b"IDAT", data) + after + chunk(b"IEND", b"")


def exif(orientation: int, order: str = "<", kind: int = 3) -> bytes:
    head = b"II*\0" if order == "<" else b"MM\0*"
    value = struct.pack(order + "HH", orientation, 0) if kind == 3 else struct.pack(order + "I", orientation)
    other = struct.pack(order + "HHII", 0x0100, 4, 1, 640)
    tag = struct.pack(order + "HHI", 0x0112, kind, 1) + value
    return head + struct.pack(order + "IH", 8, 2) + other + tag + struct.pack(order + "I", 0)


def over_white(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = alpha[..., None].astype(np.float64) / 255
    return np.rint(colour * share + 255 * (1 - share)).astype(np.uint8)


def luma(colour: np.ndarray) -> np.ndarray:
    return colour.astype(np.float64) @ (0.299, 0.587, 0.114)


SEEDS = {
    "jpeg": saved(PICTURE, "JPEG"),
    "progressive jpeg": saved(PICTURE, "JPEG", progressive=True, quality=90),
    "grey jpeg": saved(PICTURE[..., 0], "JPEG"),
    "cmyk jpeg": saved(Image.fromarray(PICTURE).convert("CMYK"), "JPEG"),
    "png": saved(PICTURE, "PNG"),
    "palette png": saved(Image.fromarray(PICTURE).quantize(12), "PNG", transparency=bytes(range(0, 240, 20))),
    "gif": saved(PICTURE, "GIF"),
    "animated gif": saved(
        Image.fromarray(PICTURE), "GIF", save_all=True, append_images=[Image.fromarray(255 - PICTURE)], transparency=0
    ),
    "bmp": saved(PICTURE, "BMP"),
    "palette bmp": saved(Image.fromarray(PICTURE).quantize(12), "BMP"),
    "webp": saved(PICTURE, "WEBP"),
    "lossless webp": saved(PICTURE, "WEBP", lossless=True),
    "tiff": saved(PICTURE, "TIFF"),
    "lzw tiff": saved(PICTURE, "TIFF", compression="tiff_lzw"),
    "jpeg tiff": saved(PICTURE, "TIFF", compression="jpeg"),
    "ppm": saved(PICTURE, "PPM"),
    "plain ppm": b"P3 64 48 255\n" + b" ".join(b"%d" % value for value in PICTURE.ravel()),
}


class TestKindsOfPixels:
    @pytest.mark.parametrize("options", [{}, {"compression": "tiff_lzw"}, {"compression": "tiff_adobe_deflate"}])
    def test_rgb_without_loss(self, options):
        formats = [("TIFF", options)] if options else [("PNG", {}), ("BMP", {}), ("PPM", {}), ("TIFF", {})]
        for format, extra in [*formats, ("WEBP", {"lossless": True})]:
            pixels = read_image(saved(PICTURE, format, **extra))
            np.testing.assert_array_equal(pixels, PICTURE, format)
            assert (pixels.dtype, pixels.flags.c_contiguous, pixels.flags.writeable) == (np.uint8, True, True)

    @pytest.mark.parametrize("name", ["jpeg", "progressive jpeg", "jpeg tiff", "webp"])
    def test_rgb_with_loss(self, name):
        assert np.abs(read_image(SEEDS[name])[8::16, 8::16].astype(int) - PICTURE[8::16, 8::16]).max() <= 6

    def test_grey_is_repeated_and_rgb_becomes_grey_by_itu_601(self):
        grey = saved(PICTURE[..., 1], "PNG")
        np.testing.assert_array_equal(read_image(grey), PICTURE[..., 1:2].repeat(3, 2))
        np.testing.assert_array_equal(read_image(grey, "L"), PICTURE[..., 1:2])
        pixels = read_image(SEEDS["png"], "L")
        assert (pixels.shape, pixels.flags.c_contiguous, pixels.flags.writeable) == ((HEIGHT, WIDTH, 1), True, True)
        assert np.abs(pixels[..., 0] - luma(PICTURE)).max() <= 0.51

    def test_one_bit(self):
        source = png((8, 1), 1, 0, [b"\xa5"])
        assert read_image(source, "L").ravel().tolist() == [255, 0, 255, 0, 0, 255, 0, 255]
        assert read_image(source)[0, :3].tolist() == [[255] * 3, [0] * 3, [255] * 3]

    def test_alpha_is_laid_over_white(self):
        rng = np.random.default_rng(1)
        rgba = rng.integers(0, 256, (40, 50, 4), dtype=np.uint8)
        truth = over_white(rgba[..., :3], rgba[..., 3])
        for format, options in (("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True, "exact": True})):
            np.testing.assert_array_equal(read_image(saved(rgba, format, **options)), truth, format)
        assert np.abs(read_image(saved(rgba, "PNG"), "L")[..., 0] - luma(truth)).max() <= 0.51
        grey = png((2, 1), 8, 4, [bytes([100, 0, 100, 51])])
        assert read_image(grey, "L").ravel().tolist() == [255, 224]  # 255 - 155/5

    def test_palette_with_and_without_alpha(self):
        colours = chunk(b"PLTE", bytes([10, 20, 30, 200, 100, 0, 7, 7, 7]))
        rows = [bytes([0, 1, 2, 1])]
        assert read_image(png((4, 1), 8, 3, rows, colours))[0].tolist() == [
            [10, 20, 30],
            [200, 100, 0],
            [7, 7, 7],
            [200, 100, 0],
        ]
        several = png((4, 1), 8, 3, rows, colours, chunk(b"tRNS", bytes([0, 102])))
        assert read_image(several)[0].tolist() == [[255] * 3, [233, 193, 153], [7, 7, 7], [233, 193, 153]]
        one = png((4, 1), 8, 3, rows, colours, chunk(b"tRNS", bytes([255, 0])))
        assert read_image(one)[0].tolist() == [[10, 20, 30], [255] * 3, [7, 7, 7], [255] * 3]

    @pytest.mark.parametrize(
        ("depth", "colour", "row", "key", "truth"),
        [
            (8, 0, bytes([7, 200]), ">H 200", [7, 255]),
            (2, 0, bytes([0b00011000]), ">H 1", [0, 255, 170, 0]),
            (4, 0, bytes([0x0A]), ">H 10", [0, 255]),
            (16, 0, struct.pack(">HH", 0x1234, 0x1235), ">H 4661", [0x12, 255]),
            (8, 2, bytes([1, 2, 3, 4, 4, 4]), ">HHH 1 2 3", [255, 4]),
            (
                16,
                2,
                struct.pack(">6H", 0x1234, 0x5678, 0x9ABC, 0x4444, 0x4444, 0x4444),
                ">HHH 4660 22136 39612",
                [255, 68],
            ),
        ],
    )
    def test_transparent_colour_of_a_png(self, depth, colour, row, key, truth):
        form, *values = key.split()
        source = png((len(truth), 1), depth, colour, [row], chunk(b"tRNS", struct.pack(form, *map(int, values))))
        assert read_image(source)[0].tolist() == [[value] * 3 for value in truth]

    def test_sixteen_bits_give_their_high_byte(self):
        values = np.array([[0x1234, 0xFF80, 0x00FF, 0x8000]], np.uint16)
        high = [0x12, 0xFF, 0x00, 0x80]
        stored = values.astype(">u2").tobytes()
        assert read_image(png((4, 1), 16, 0, [stored]), "L").ravel().tolist() == high
        assert read_image(png((4, 1), 16, 0, [stored]))[0].tolist() == [[value] * 3 for value in high]
        opaque = np.stack([values, np.full_like(values, 0xFFFF)], 2).astype(">u2").tobytes()
        assert read_image(png((4, 1), 16, 4, [opaque]), "L").ravel().tolist() == high
        colour = values.repeat(3, 1).astype(">u2").tobytes()
        assert read_image(png((4, 1), 16, 2, [colour]), "L").ravel().tolist() == high
        clear = np.stack([values] * 3 + [np.array([[0, 0x80AA, 0xFFFF, 0xFFFF]])], 2).astype(">u2").tobytes()
        truth = over_white(np.array(high)[None, :, None].repeat(3, 2), np.array([[0, 0x80, 255, 255]]))
        np.testing.assert_array_equal(read_image(png((4, 1), 16, 6, [clear])), truth)
        assert read_image(b"P5 4 1 65535\n" + stored, "L").ravel().tolist() == high
        for order in "<>":
            for compression in (None, "zlib"):
                buffer = io.BytesIO()
                tifffile.imwrite(buffer, values, byteorder=order, compression=compression, photometric="minisblack")
                assert read_image(buffer.getvalue(), "L").ravel().tolist() == high, (order, compression)

    def test_cmyk(self):
        cmyk = np.random.default_rng(2).integers(0, 256, (20, 30, 4), dtype=np.uint8)
        light = 255 - cmyk.astype(np.float64)
        truth = light[..., :3] * light[..., 3:] / 255
        source = saved(Image.frombytes("CMYK", (30, 20), cmyk.tobytes()), "TIFF")
        assert np.abs(read_image(source) - truth).max() <= 1
        assert np.abs(read_image(SEEDS["cmyk jpeg"])[8::16, 8::16].astype(int) - PICTURE[8::16, 8::16]).max() <= 6
        assert read_image(SEEDS["cmyk jpeg"], "L").shape == (HEIGHT, WIDTH, 1)

    @pytest.mark.parametrize("dtype", ["float32", "int32", "uint32", "int16"])
    def test_pixels_without_an_agreed_range_are_refused(self, dtype, tmp_path):
        path = tmp_path / "measured.tif"
        tifffile.imwrite(path, np.zeros((4, 4), dtype))
        with pytest.raises(CorruptDataError, match=r"measured\.tif: 32-bit .* skimage\.io\.imread"):
            read_image(path)
        with pytest.raises(CorruptDataError, match="float pixels"):
            read_image(b"Pf 1 1 -1.0\n" + struct.pack("<f", 0.5))

    @pytest.mark.parametrize("mode", ["1", "L", "LA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "HSV", "P", "PA"])
    def test_to_array_of_every_mode(self, mode):
        image = Image.fromarray(PICTURE).convert("RGBA" if mode == "RGBa" else "RGB").convert(mode)
        for wanted in ("RGB", "L"):
            truth = np.asarray(image.convert("RGBA").convert("RGB").convert(wanted)).reshape(HEIGHT, WIDTH, -1)
            assert np.abs(to_array(image, wanted).astype(int) - truth).max() <= (3 if mode in ("YCbCr", "HSV") else 0)

    def test_to_array_in_bands_is_the_same(self, monkeypatch):
        rgba = np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 4), dtype=np.uint8)
        images = [Image.fromarray(rgba), Image.fromarray(rgba).quantize(20), Image.fromarray(rgba[..., 0])]
        whole = [
            to_array(image, mode, orientation=turn) for image in images for mode in ("RGB", "L") for turn in (1, 6, 7)
        ]
        monkeypatch.setattr("datakit.pixels._BAND", 5 * WIDTH)
        bands = [
            to_array(image, mode, orientation=turn) for image in images for mode in ("RGB", "L") for turn in (1, 6, 7)
        ]
        for one, other in zip(whole, bands, strict=True):
            np.testing.assert_array_equal(one, other)

    def test_unknown_mode(self):
        with pytest.raises(UnknownNameError, match="unknown mode 'rgb'; did you mean 'RGB'"):
            read_image(SEEDS["png"], "rgb")


UPRIGHT = {  # what a viewer does to the stored picture
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a.transpose(1, 0, 2), 2),
    8: np.rot90,
}


class TestOrientation:
    @pytest.mark.parametrize("orientation", UPRIGHT)
    def test_all_eight_in_every_format(self, orientation):
        block = exif(orientation)
        truth = UPRIGHT[orientation](PICTURE)
        rows = [row.tobytes() for row in PICTURE]
        exact = [
            png((WIDTH, HEIGHT), 8, 2, rows, chunk(b"eXIf", block)),
            png((WIDTH, HEIGHT), 8, 2, rows, after=chunk(b"eXIf", exif(orientation, ">"))),
            png((WIDTH, HEIGHT), 8, 2, rows, chunk(b"eXIf", exif(orientation, ">", kind=4))),
            saved(PICTURE, "WEBP", lossless=True, exif=block),
            saved(PICTURE, "TIFF", tiffinfo={0x0112: orientation}),
            saved(PICTURE, "TIFF", tiffinfo={0x0112: orientation}, compression="tiff_lzw"),
        ]
        for source in exact:
            np.testing.assert_array_equal(read_image(source), truth)
            assert read_image(source).flags.c_contiguous
            assert image_size(source) == truth.shape[:2]
        source = saved(PICTURE, "JPEG", exif=b"Exif\0\0" + block)
        assert image_size(source) == truth.shape[:2]
        assert np.abs(read_image(source)[8::16, 8::16].astype(int) - truth[8::16, 8::16]).max() <= 6
        assert read_image(source, "L").shape == (*truth.shape[:2], 1)

    @pytest.mark.parametrize(
        "block",
        [b"", b"Exif\0\0", b"II*\0", exif(0), exif(9), exif(6)[:20], b"XX" + exif(6)[2:], b"II*\0" + b"\xff" * 4],
    )
    def test_damaged_or_meaningless_means_upright(self, block):
        assert exif_orientation(block) == 1
        np.testing.assert_array_equal(read_image(saved(PICTURE, "WEBP", lossless=True, exif=block)), PICTURE)


class TestFramesAndSources:
    @pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF", "MPO"])
    def test_first_frame(self, format):
        options = {"lossless": True} if format == "WEBP" else {"quality": 95} if format == "MPO" else {}
        frames = [Image.fromarray(PICTURE), Image.fromarray(255 - PICTURE)]
        source = saved(frames[0], format, save_all=True, append_images=frames[1:], **options)
        middle = np.s_[8::16, 8::16]
        assert np.abs(read_image(source)[middle].astype(int) - PICTURE[middle]).max() <= (4 if format == "MPO" else 0)
        assert image_size(source) == (HEIGHT, WIDTH)

    def test_sources(self, tmp_path):
        path = tmp_path / "a.txt"  # the suffix says nothing
        path.write_bytes(SEEDS["png"])
        with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a", SEEDS["png"])
        with path.open("rb") as file, zipfile.ZipFile(tmp_path / "a.zip") as archive, archive.open("a") as member:
            file.seek(50)
            pipe = io.BytesIO(SEEDS["png"])
            pipe.seekable = lambda: False
            for source in (path, str(path), SEEDS["png"], io.BytesIO(SEEDS["png"]), file, member, pipe):
                pipe.seek(0)
                np.testing.assert_array_equal(read_image(source), PICTURE)
                pipe.seek(0)
                assert image_size(source) == (HEIGHT, WIDTH)
            assert not file.closed
        with pytest.raises(TypeError, match="not list"):
            read_image([1])

    @pytest.mark.parametrize("name", SEEDS)
    def test_image_size_is_that_of_the_array(self, name, tmp_path):
        (tmp_path / "a").write_bytes(SEEDS[name])
        assert image_size(SEEDS[name]) == image_size(tmp_path / "a") == read_image(tmp_path / "a").shape[:2]

    def test_no_descriptor_stays_open(self, tmp_path):
        before = len(os.listdir("/proc/self/fd"))
        for name, data in SEEDS.items():
            for suffix, content in (("good", data), ("bad", data[: len(data) // 2])):
                (tmp_path / f"{name}.{suffix}").write_bytes(content)
                for function in (read_image, image_size):
                    try:
                        function(tmp_path / f"{name}.{suffix}")
                    except CorruptDataError:
                        assert suffix == "bad"
        assert len(os.listdir("/proc/self/fd")) == before

    def test_suffixes(self):
        assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in IMAGE_SUFFIXES)
        assert {".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"} <= set(
            IMAGE_SUFFIXES
        )

    def test_real_photographs(self, shared):
        from torchvision.io import ImageReadMode, decode_image

        with zipfile.ZipFile(shared / "faces.zip") as archive:
            names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
            import torch

            for name in names[:15]:
                data = archive.read(name)
                truth = decode_image(torch.frombuffer(bytearray(data), dtype=torch.uint8), ImageReadMode.RGB)
                pixels = read_image(data)
                assert pixels.shape == (*truth.shape[1:], 3)
                assert np.abs(pixels.astype(int) - truth.permute(1, 2, 0).numpy()).mean() < 1


class TestNothingGlobal:
    def noisy(self) -> list[bytes]:
        """Files about which Pillow warns."""
        counts = struct.pack("<HHII", 0x010E, 2, 400, 200)
        broken = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + counts + struct.pack("<I", 0)
        animated = png((4, 1), 8, 0, [bytes(4)], chunk(b"acTL", bytes(8)))
        tiff = saved(PICTURE, "TIFF", tiffinfo={270: "x" * 100})
        return [
            saved(PICTURE, "JPEG", exif=broken),
            animated,
            tiff.replace(struct.pack("<HHI", 270, 2, 101), b"\x0e\1\2\0\xff\xff\xff\0"),
        ]

    def test_the_files_are_noisy(self):
        for source in self.noisy():
            with pytest.warns(UserWarning, match="EXIF|APNG|larger"), Image.open(io.BytesIO(source)) as image:
                image.getexif()

    def test_no_warning_gets_out_and_filters_are_as_before(self):
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            before = list(warnings.filters)
            for source in self.noisy():
                read_image(source)
                image_size(source)
            assert warnings.filters == before
        assert seen == []

    def test_neither_pillows_limit_nor_its_settings_matter(self, monkeypatch):
        monkeypatch.setattr(
            Image, "MAX_IMAGE_PIXELS", 1500
        )  # the picture has 3,072: Pillow warns, and fails from 3,000
        np.testing.assert_array_equal(read_image(SEEDS["png"]), PICTURE)
        np.testing.assert_array_equal(read_image(SEEDS["bmp"]), PICTURE)
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)
        np.testing.assert_array_equal(read_image(SEEDS["tiff"]), PICTURE)
        assert (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES) == (2000, False)

    def test_threads(self):
        truth = {name: read_image(data) for name, data in SEEDS.items()}
        before, wrong = list(warnings.filters), []

        def work() -> None:
            for _ in range(10):
                wrong.extend(name for name, data in SEEDS.items() if not np.array_equal(read_image(data), truth[name]))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert warnings.filters == before


def attempt(source: bytes, mode: str = "RGB") -> tuple[tuple[int, ...], str]:
    """The shape of the array, or what the error says, which must be ours."""
    try:
        return read_image(source, mode).shape, ""
    except CorruptDataError as error:
        return (), str(error)


def with_size(name: str, width: int, height: int) -> bytes:
    """A seed whose header tells another size."""
    data = bytearray(SEEDS[name])
    if "jpeg" in name:
        place = data.index(b"\xff\xc2" if "progressive" in name else b"\xff\xc0") + 5
        data[place : place + 4] = struct.pack(">HH", height, width)
    elif name == "png":
        header = struct.pack(">II", width, height) + data[24:29]
        data[8:33] = chunk(b"IHDR", header)
    elif name == "gif":
        place = data.index(b",\0\0\0\0" + struct.pack("<HH", WIDTH, HEIGHT)) + 5
        data[6:10] = data[place : place + 4] = struct.pack("<HH", width, height)
    elif name == "bmp":
        data[18:26] = struct.pack("<ii", width, height)
    elif name == "ppm":
        data = data.replace(b"64 48", b"%d %d" % (width, height))
    elif name == "webp":
        data[26:30] = struct.pack("<HH", width & 0x3FFF, height & 0x3FFF)
    else:
        (start,) = struct.unpack_from("<I", data, 4)
        (count,) = struct.unpack_from("<H", data, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            (tag,) = struct.unpack_from("<H", data, entry)
            if tag in (256, 257):
                struct.pack_into("<HII", data, entry + 2, 4, 1, width if tag == 256 else height)
    return bytes(data)


def real_13000() -> bytes:
    """A PNG that really has 13,000 x 13,000 grey pixels, in 170 kB."""
    packer = zlib.compressobj(1)
    data = b"".join(packer.compress(bytes(13_001)) for _ in range(13_000)) + packer.flush()
    header = struct.pack(">IIBBBBB", 13_000, 13_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def many_scans() -> bytes:
    """A progressive JPEG of a few kB that says the same thing 5,000 times."""
    data = saved(Image.new("RGB", (6000, 6000), (128, 128, 128)), "JPEG", progressive=True)
    scan = data.rindex(b"\xff\xda")
    return data[:-2] + data[scan:-2] * 5000 + data[-2:]


def many_strips() -> bytes:
    """A TIFF whose every strip is the same place in the file, again and again."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.zeros((600, 500, 3), np.uint8), photometric="rgb", rowsperstrip=300)
    data = bytearray(buffer.getvalue())
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    entry = next(at for at in range(start + 2, start + 2 + 12 * count, 12) if data[at : at + 2] == b"\x11\x01")
    struct.pack_into("<HHII", data, entry, 273, 4, 200_000, len(data))
    return bytes(data) + struct.pack("<I", 400) * 200_000


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n(touched) (w) file\nshowpage\n%%EOF\n"


def bad_files() -> dict[str, tuple[bytes, str]]:
    """Contents, and what the message must say."""
    files = {
        "empty.jpg": (b"", "empty file"),
        "page.jpg": (
            b"<!DOCTYPE html><html>404</html>",
            r"datakit reads \(starts with '<!DOCTYPE h'\); reads JPEG, PNG",
        ),
        "eps.jpg": (EPS, "not an image in a format"),
        "real.png": (real_13000(), "13000 x 13000 pixels are over the limit of 67,108,864 .* pass max_pixels="),
        "strips.tif": (many_strips(), "written 100,000 times"),
        "scans.jpg": (many_scans(), r"written 5,\d+ times"),
    }
    for name in ("jpeg", "progressive jpeg", "png", "gif", "bmp", "webp", "tiff", "lzw tiff", "ppm"):
        data, label = SEEDS[name], name.split()[-1].upper()
        for share in (0.1, 0.5, 0.99):
            files[f"{name} {share}"] = (data[: int(len(data) * share)], f"(truncated|broken) {label}")
        if name != "gif":  # whose last byte is but a full stop
            files[f"{name} one short"] = (data[:-1], f"(truncated|broken) {label}")
        if name not in ("webp", "png", "jpeg", "progressive jpeg"):
            files[f"{name} 40000"] = (with_size(name, 40_000, 40_000), "40000 x 40000 pixels are over|over the limit")
        files[f"{name} 0x0"] = (with_size(name, 0, 0), f"broken {label} in its header .*(size|decoder)")
        files[f"{name} 8000"] = (with_size(name, 8000, 8000), f"(truncated|broken) {label}|over the limit")
        if name not in ("jpeg", "progressive jpeg"):
            files[f"{name} a row more"] = (with_size(name, WIDTH, HEIGHT + 1), f"(truncated|broken) {label}")
    files["png 40000"] = (with_size("png", 40_000, 40_000), "40000 x 40000 pixels are over the limit")
    files["jpeg 40000"] = (with_size("jpeg", 40_000, 40_000), "40000 x 40000 pixels are over the limit")
    files["webp 12000"] = (with_size("webp", 12_000, 12_000), "12000 x 12000 pixels are over the limit of 29,360,128")
    middle = len(SEEDS["png"]) // 2
    files["zeroed.png"] = (
        SEEDS["png"][: middle - 40] + bytes(80) + SEEDS["png"][middle + 40 :],
        "IDAT fails its checksum",
    )
    return files


@pytest.fixture(scope="module")
def bad(tmp_path_factory) -> tuple[Path, dict[str, str]]:
    """A folder of bad files, and what the message about each must say."""
    folder = tmp_path_factory.mktemp("bad")
    files = bad_files()
    for name, (data, _) in files.items():
        (folder / name).write_bytes(data)
    return folder, {name: says for name, (_, says) in files.items()}


HARNESS = """
import json, os, resource, sys, time
import datakit.tables
from datakit.vision.io import read_image
light = not {"PIL", "pandas"} & set(sys.modules)
good, bad = sys.argv[1:]
for name in os.listdir(good):
    read_image(os.path.join(good, name))
events = []
def hook(event, args):
    writes = event == "open" and (args[2] if isinstance(args[2], int) else 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if writes or event.split(".")[0] in ("subprocess", "socket", "shutil", "ctypes") or event in (
        "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.remove", "os.rename", "os.mkdir", "os.truncate"):
        events.append([event, repr(args)])
sys.addaudithook(hook)
def case(name):
    start = time.perf_counter()
    try:
        said = repr(read_image(os.path.join(bad, name)).shape) if name else repr(open(os.devnull, "w"))
    except Exception as error:
        said = f"{type(error).__name__} {error}"
    wall = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"said": said, "s": wall, "kB": memory, "events": events, "light": light}
result = {}
for name in ["", *os.listdir(bad)]:
    receive, send = os.pipe()
    if os.fork() == 0:
        os.write(send, json.dumps(case(name)).encode())
        os._exit(0)
    os.close(send)
    with os.fdopen(receive) as file:
        result[name] = json.loads(file.read() or '{"said": "crashed"}')
    os.wait()
print(json.dumps(result))
"""


@pytest.fixture(scope="module")
def outcome(bad, tmp_path_factory) -> dict[str, dict]:
    """What reading each bad file said, took and did, in a process of its own; `""` reads none, and writes."""
    good = tmp_path_factory.mktemp("good")
    for name, data in SEEDS.items():
        (good / name).write_bytes(data)
    run = subprocess.run(
        [sys.executable, "-c", HARNESS, good, bad[0]],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    return json.loads(run.stdout)


class TestBadFiles:
    def test_each_is_an_error_that_names_file_and_fault(self, bad, outcome):
        folder, expected = bad
        assert set(outcome) == {"", *expected}
        for name, says in expected.items():
            message = outcome[name]["said"]
            assert message.startswith(f"CorruptDataError {folder / name}: "), (name, message)
            with pytest.raises(CorruptDataError, match=says) as caught:
                raise CorruptDataError(message)
            assert caught.value

    def test_each_ends_in_5_seconds_and_512_mb(self, outcome):
        base = outcome[""]["kB"]
        slow = {name: round(one["s"], 2) for name, one in outcome.items() if one["s"] > 5}
        large = {name: (one["kB"] - base) // 1024 for name, one in outcome.items() if one["kB"] - base > 512 * 1024}
        assert (slow, large) == ({}, {})

    def test_importing_is_light(self, outcome):
        assert outcome[""]["light"]

    def test_no_process_no_socket_no_write(self, outcome):
        assert {name for name, one in outcome.items() if one["events"]} == {""}  # which shows that the hook sees writes

    @pytest.mark.parametrize("name", ["jpeg", "gif", "bmp", "tiff", "ppm"])
    def test_zeroed_middle_without_a_checksum_is_an_array_or_an_error(self, name):
        data, middle = SEEDS[name], len(SEEDS[name]) // 2
        shape, fault = attempt(data[: middle - 60] + bytes(120) + data[middle + 60 :])
        assert shape == PICTURE.shape or fault.startswith("<bytes>: ")

    def test_every_bit_of_a_png(self):
        small = png((5, 3), 8, 2, [bytes(range(15))] * 3, chunk(b"tEXt", b"a\0b"))
        assert read_image(small).shape == (3, 5, 3)
        for place in range(len(small)):
            for bit in range(8):
                flipped = bytearray(small)
                flipped[place] ^= 1 << bit
                with pytest.raises(CorruptDataError):
                    read_image(bytes(flipped))

    def test_checksum_message_says_which_chunk_and_where(self):
        data = bytearray(SEEDS["png"])
        data[60] ^= 1
        with pytest.raises(CorruptDataError, match="<bytes>: PNG chunk IDAT fails its checksum at byte 33"):
            read_image(bytes(data))

    @pytest.mark.parametrize("interlace", [0, 1])
    def test_a_png_with_too_few_rows_and_right_checksums(self, interlace):
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 7, 8, 0, 0, 0, interlace))
        passes = (
            [(1, 1), (1, 1), (1, 2), (2, 2), (2, 4), (4, 3)] if interlace else [(4, 7)]
        )  # Adam7; its second is empty
        rows = b"".join((b"\0" + b"\7" * columns) * count for columns, count in passes)

        def made(data: bytes) -> bytes:
            return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")

        assert (read_image(made(rows)) == 7).all()
        assert not read_image(made(bytes(len(rows)))).any()  # black, and all there
        for missing in (1, 5, 7, 15):  # 5 bytes are a row of the last pass
            with pytest.raises(CorruptDataError, match="<bytes>: truncated PNG"):
                read_image(made(rows[:-missing]))

    def test_a_palette_png_without_its_palette(self):
        with pytest.raises(CorruptDataError, match="no palette"):
            read_image(png((2, 1), 8, 3, [b"\0\1"]))

    def test_max_pixels(self):
        for name in ("jpeg", "png", "gif", "bmp", "tiff", "ppm"):
            assert read_image(SEEDS[name], max_pixels=HEIGHT * WIDTH).shape == PICTURE.shape
            with pytest.raises(CorruptDataError, match="64 x 48 pixels are over the limit of 3,071"):
                read_image(SEEDS[name], max_pixels=HEIGHT * WIDTH - 1)
        with pytest.raises(CorruptDataError, match="over the limit of 1,344 for WEBP"):
            read_image(SEEDS["webp"], max_pixels=HEIGHT * WIDTH)

    def test_missing_folder_pipe_and_unreadable(self, tmp_path):
        for function in (read_image, image_size):
            with pytest.raises(MissingDataError, match=r"none\.png: there is no such file"):
                function(tmp_path / "none.png")
            (tmp_path / "file").write_bytes(SEEDS["png"])
            with pytest.raises(MissingDataError):
                function(tmp_path / "file" / "below.png")
            with pytest.raises(CorruptDataError, match="a folder, not an image"):
                function(tmp_path)
            if not (tmp_path / "pipe").exists():
                os.mkfifo(tmp_path / "pipe")
                (tmp_path / "loop").symlink_to("loop")
            with pytest.raises(CorruptDataError, match="not a regular file"):
                function(tmp_path / "pipe")
            with pytest.raises(CorruptDataError, match="cannot be opened"):
                function(tmp_path / "loop")

    def test_errors_cross_processes(self):
        with pytest.raises(CorruptDataError) as caught:
            read_image(SEEDS["jpeg"][:-20])
        assert str(pickle.loads(pickle.dumps(caught.value))) == "<bytes>: truncated JPEG while decoding"


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """`data` with a few bytes flipped, set, cut, doubled or zeroed; headers are hit more often than the rest."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 6))):
        reach = len(changed) if rng.random() < 0.5 else min(len(changed), 120)
        place, length = int(rng.integers(reach)), int(rng.integers(1, 17))
        match int(rng.integers(6)):
            case 0:
                changed[place] ^= 1 << int(rng.integers(8))
            case 1:
                changed[place] = int(rng.choice([0, 1, 127, 128, 255]))
            case 2:
                changed[place : place + length] = rng.bytes(length)
            case 3:
                changed[place : place + length] = b""
            case 4:
                changed[place:place] = changed[place : place + length]
            case 5:
                changed[place : place + 4] = rng.choice([0, 1, 2**31 - 1, 2**32 - 1, 70_000], 1).astype("<u4").tobytes()
        if not changed:
            break
    return bytes(changed[: int(rng.integers(len(changed) + 1))] if rng.random() < 0.1 else changed)


def with_checksums(data: bytes) -> bytes:
    """`data` with the checksums of its PNG chunks put right, so that the mutation gets past them."""
    out, place = bytearray(data[:8]), 8
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        out += chunk(data[place + 4 : place + 8], data[place + 8 : place + 8 + length])
        place += 12 + length
    return bytes(out)


@pytest.mark.parametrize("count", [10_000, pytest.param(200_000, marks=pytest.mark.slow)])
def test_mutations_give_an_array_or_our_error(count, capfd):
    rng = np.random.default_rng(20261)
    arrays = 0
    for number in range(count):
        name = list(SEEDS)[number % len(SEEDS)]
        data = mutated(SEEDS[name], rng)
        if "png" in name and rng.random() < 0.8:
            data = with_checksums(data)
        start = time.perf_counter()
        shape, fault = attempt(data, "L" if number % 3 == 0 else "RGB")
        assert time.perf_counter() - start < 5, (number, name)
        assert fault.startswith("<bytes>: ") or image_size(data) == shape[:2], (number, name)
        arrays += not fault
    assert 0.05 * count < arrays < 0.95 * count


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["RGBA png", "palette png", "rotated jpeg", "progressive jpeg", "webp"])
def test_as_many_pixels_as_the_limit_allows_fit_in_512_mb(kind, tmp_path):
    side = {"progressive jpeg": 6256, "webp": 5418}.get(kind, 8191)
    image = Image.new("RGBA", (side, side), (200, 10, 30, 100))
    if kind == "RGBA png":
        data = saved(image, "PNG", compress_level=1)
    elif kind == "palette png":
        data = saved(image.convert("RGB").quantize(4), "PNG", transparency=bytes([9, 99]), compress_level=1)
    elif kind == "webp":
        data = saved(image, "WEBP", method=0)
    else:
        options = (
            {"progressive": True, "subsampling": 0} if kind == "progressive jpeg" else {"exif": b"Exif\0\0" + exif(6)}
        )
        data = saved(image.convert("RGB"), "JPEG", **options)
    (tmp_path / "bad").mkdir()
    (tmp_path / "good").mkdir()
    (tmp_path / "bad" / "large").write_bytes(data)
    (tmp_path / "good" / "small").write_bytes(SEEDS["webp"])
    run = subprocess.run(
        [sys.executable, "-c", HARNESS, tmp_path / "good", tmp_path / "bad"], capture_output=True, text=True, check=True
    )
    result = json.loads(run.stdout)
    assert result["large"]["said"] == f"({side}, {side}, 3)"
    assert result["large"]["kB"] - result[""]["kB"] <= 512 * 1024
    assert result["large"]["s"] < 5
