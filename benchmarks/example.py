"""The example of docs/measuring.md: what `datakit bench` prints for the drawn faces, and its picture.

python benchmarks/example.py            # two minutes; writes docs/measuring.md and docs/pictures/bench.png
python benchmarks/example.py --quick    # to see that it runs; prints only
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

from figures import machine

DOCS = Path(__file__).resolve().parents[1] / "docs"
RUN = ["bench", "faces", "--synthetic", "-t", "Rescale(256)", "-t", "RandomCrop(224)", "-t", "ToTensor"]
LONG = ["--records", "512", "--step", "60ms", "--repeats", "7", "--plot", str(DOCS / "pictures" / "bench.png")]
SHOWN = re.compile(r"(?<=```text\n)\d+ samples in .*?(?=```\n)", re.DOTALL)
MACHINE = re.compile(r"(?<=Measured on ).*?(?=\.\*\n)", re.DOTALL)


def printed(options):
    run = subprocess.run(
        [sys.executable, "-m", "datakit", *RUN, *options], check=True, stdout=subprocess.PIPE, text=True
    )
    start = re.search(r"^\d+ samples in ", run.stdout, re.MULTILINE).start()
    return run.stdout[start:].split("\nplot: ")[0].rstrip() + "\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    text = printed(["--records", "64", "--repeats", "1"] if quick else LONG)
    print(text)
    if not quick:
        page = DOCS / "measuring.md"
        content = SHOWN.sub(lambda _: text, page.read_text(), count=1)
        page.write_text(MACHINE.sub(lambda _: machine(), content, count=1))


if __name__ == "__main__":
    main()
