"""Every reference on real data, honest and with each of its bugs: docs/references.md and the pictures of the tutorials.

Hours on two cores. `--only faces` runs one of them, and `--only faces:split-leaks` one bug; a run that was broken off
goes on where it was.
"""

import argparse
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from PIL import Image, ImageSequence

from datakit.reference import BUILT_IN, find
from datakit.reference.checkpoint import NAME as CHECKPOINT

DOCS = Path(__file__).resolve().parents[1] / "docs"
RUNS = Path("runs")
DATA = RUNS / "data"
ROOTS = {
    "char-rnn-classify": "text",
    "char-rnn-generate": "text",
    "cifar10": "cifar10",
    "dcgan": "hymenoptera_data",
    "faces": "faces",
    "fgsm": "",
    "hymenoptera": "hymenoptera_data",
    "mnist-stn": "",
    "penn-fudan": "nuclei",
    "spoken-digits": "digits",
    "translate": "text",
    "yesno": "words",
}
WIDEST = 1100  # pixels of a picture in the documents
SEEDS = {"hymenoptera": (0, 1, 2)}  # of the honest run: its bar is near
IN_ONE_EPOCH = {  # no matter of learning
    *[("dcgan", "split-leaks"), ("penn-fudan", "split-leaks")],
    *[("char-rnn-classify", "split-by-line"), ("char-rnn-generate", "split-by-line")],
}
PAIR = ("90179376", "198508668")  # a bee, and honeycomb full of bees


def unpack(shared):
    """The archives, as a user would have them."""
    for archive, folder in (
        ("faces.zip", "faces"),
        ("hymenoptera_data.zip", "."),
        ("nuclei-in-pennfudan-layout.zip", "nuclei"),
        ("cifar10-subset/cifar-10-python.tar.gz", "cifar10"),
        ("free-spoken-digit-dataset.zip", "digits"),
        ("waves_yesno.tar.gz", "words"),
        ("data.zip", "text"),
    ):
        place, mark = DATA / folder, DATA / f".{Path(archive).name}.unpacked"
        if mark.exists():
            continue
        place.mkdir(parents=True, exist_ok=True)
        if archive.endswith(".zip"):
            with zipfile.ZipFile(shared / archive) as opened:
                opened.extractall(place)
        else:
            with tarfile.open(shared / archive) as opened:
                opened.extractall(place, filter="data")
        mark.touch()


def data_of(name, shared):
    """The options that say what a reference is trained on."""
    if not find(name).needs_data:
        return []
    if name == "style-transfer":
        content, style = (str(next((DATA / "hymenoptera_data").rglob(f"{number}*"))) for number in PAIR)
        return ["--root", str(DATA), "--content", content, "--style", style]
    return ["--root", str(DATA / ROOTS[name] if ROOTS[name] else shared)]


def run(name, bug, seed, shared):
    """One row; what it printed is shown as it comes."""
    out = RUNS / "references" / "-".join(filter(None, (name, bug, f"seed-{seed}" if seed else "")))
    resume = ["--resume"] if (out / CHECKPOINT).is_file() else []
    command = [sys.executable, "-m", "datakit", "train", name, *data_of(name, shared), "--out", str(out), *resume]
    command += ["--report", str(DOCS / "references.md"), "--seed", str(seed), *(["--sabotage", bug] if bug else [])]
    command += ["--epochs", "1"] if (name, bug) in IN_ONE_EPOCH else []
    print(*command[1:], flush=True)
    last = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for last in process.stdout:
            print(last, end="", flush=True)
    verdict = last.strip().rpartition(": ")[2]  # the exit code does not tell a crash from a bar that was missed
    is_expected = verdict == ("NOT PASSED" if bug else "passed")
    if not is_expected:
        print(f"UNEXPECTED: {out.name}: {verdict or 'no verdict'}, exit code {process.returncode}", flush=True)
    return out if is_expected else None


def publish(name, out):
    """Those pictures of a run that the page of the reference shows."""
    page = (DOCS / "tutorials" / f"{name}.md").read_text()
    for picture in out.iterdir():
        target = DOCS / "pictures" / f"train-{out.name}-{picture.name}"
        if target.name not in page:
            continue
        publish_image(picture, target) if picture.suffix == ".png" else publish_animation(picture, target)


def publish_image(picture, target):
    """In fewer colours, and no wider than a page."""
    with Image.open(picture) as opened:
        image = opened.convert("RGB")
    image.thumbnail((WIDEST, WIDEST), Image.Resampling.LANCZOS)
    image.quantize(128, dither=Image.Dither.NONE).save(target, optimize=True)


def publish_animation(picture, target):
    """Every second frame, and the last one among them: a fifth of the bytes."""
    with Image.open(picture) as animation:
        frames = [frame.convert("RGB") for frame in ImageSequence.Iterator(animation)][::-2][::-1]
    times = [6000 // len(frames)] * (len(frames) - 1) + [2000]
    first, *others = frames
    first.save(target, save_all=True, append_images=others, duration=times, loop=0, quality=40, method=6)


def wanted(only):
    """Reference, bug and seed of each run."""
    for name in BUILT_IN:
        for bug in ("", *sorted(find(name).bugs())):
            if only is None or name in only or f"{name}:{bug}" in only:
                yield from ((name, bug, seed) for seed in ((0,) if bug else SEEDS.get(name, (0,))))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path, help="the folder of real data")
    parser.add_argument("--only", action="append", metavar="NAME[:BUG]")
    options = parser.parse_args()
    unpack(options.shared)
    outs = {(name, bug, seed): run(name, bug, seed, options.shared) for name, bug, seed in wanted(options.only)}
    for (name, _, _), out in outs.items():
        if out is not None:
            publish(name, out)
    sys.exit(None in outs.values())


if __name__ == "__main__":
    main()
