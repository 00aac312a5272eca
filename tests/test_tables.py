"""Reading CSV tables: what is kept as it is, and every fault by its line and column."""

import csv
import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datakit.errors import CorruptDataError, MissingDataError, UnknownNameError
from datakit.tables import read_table

COLUMNS = {"name": str, "count": int, "size": float}


@pytest.fixture
def table(tmp_path):
    """Write contents to a file and read it as a table."""

    def read(content: str | bytes, columns=COLUMNS, **options) -> pd.DataFrame:
        path = tmp_path / "table.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_table(path, columns, **options)

    return read


class TestGoodTables:
    def test_values_and_types(self, table):
        frame = table("name,count,size\na,1,0.1\nb,-20,1e3\nc,+7, 4 \n")
        assert frame.to_dict("list") == {"name": ["a", "b", "c"], "count": [1, -20, 7], "size": [0.1, 1000.0, 4.0]}
        assert [str(dtype) for dtype in frame.dtypes] == ["str", "int64", "float64"]
        assert isinstance(frame.index, pd.RangeIndex)

    def test_text_stays_as_it_is(self, table):
        words = ["NA", "nan", "None", "007", "1.0", "", " x ", "true", "ü", "a\u2028b", "#1", "'"]
        frame = table("name,count,size\n" + "".join(f"{word},1,1\n" for word in words))
        assert frame["name"].tolist() == words

    def test_order_is_that_of_the_question(self, table):
        frame = table("size,name,count\n0.5,a,1\n")
        assert frame.columns.tolist() == ["name", "count", "size"]
        assert frame.iloc[0].tolist() == ["a", 1, 0.5]

    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    def test_byte_order_mark_line_ends_and_blank_lines_at_the_end(self, table, end):
        text = end.join(["name,count,size", "a,1,2", "b,3,4"])
        for content in (text, text + end, text + end * 4):
            assert table(b"\xef\xbb\xbf" + content.encode())["count"].tolist() == [1, 3]

    def test_quotes(self, table):
        frame = table('"name",count,size\n"a, b",1,2\n"say ""hi""",3,"4"\n"two\nlines",5,6\nit"s,7,8\n')
        assert frame["name"].tolist() == ["a, b", 'say "hi"', "two\nlines", 'it"s']

    def test_header_alone_is_an_empty_table(self, table):
        for content in ("name,count,size", "name,count,size\n", "name,count,size\r\n\r\n"):
            frame = table(content)
            assert len(frame) == 0
            assert [str(dtype) for dtype in frame.dtypes] == ["str", "int64", "float64"]

    def test_columns_that_are_not_asked_for(self, table):
        content = "name,x,count,size\na,?,1,2\n"
        assert table(content, extra="ignore").columns.tolist() == list(COLUMNS)
        with pytest.raises(CorruptDataError, match="line 1: unexpected column 'x'; extra='ignore'"):
            table(content)

    def test_another_delimiter(self, table):
        assert table("name\tcount\tsize\na,b\t1\t2\n", delimiter="\t")["name"].tolist() == ["a,b"]

    def test_largest_integers_and_smallest_floats_are_exact(self, table):
        frame = table("name,count,size\na,9223372036854775807,5e-324\nb,-9223372036854775808,0.1\n")
        assert frame["count"].tolist() == [2**63 - 1, -(2**63)]
        assert frame["size"].tolist() == [5e-324, 0.1]

    def test_many_parts_are_one_table(self, table, monkeypatch):
        monkeypatch.setattr("datakit.tables._CELLS", 9)
        monkeypatch.setattr("datakit.tables._BLOCK", 64)
        rows = [(f"n{number}\n", number, number / 7) for number in range(500)]
        text = io.StringIO()
        csv.writer(text).writerows([COLUMNS, *rows])
        assert list(table(text.getvalue()).itertuples(index=False, name=None)) == rows

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        st.lists(
            st.tuples(
                st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12),
                st.integers(-(2**63), 2**63 - 1),
                st.floats(allow_nan=False, allow_infinity=False),
            ),
            max_size=20,
        )
    )
    def test_what_csv_writes_is_read_back(self, table, rows):
        text = io.StringIO()
        csv.writer(text).writerows([COLUMNS, *rows])
        assert list(table(text.getvalue()).itertuples(index=False, name=None)) == rows

    def test_real_face_landmarks(self, shared, tmp_path):
        with zipfile.ZipFile(shared / "faces.zip") as archive:
            content = archive.read("faces/face_landmarks.csv")
        (tmp_path / "faces.csv").write_bytes(content)
        points = [f"part_{point}_{axis}" for point in range(68) for axis in "xy"]
        frame = read_table(tmp_path / "faces.csv", {"image_name": str} | dict.fromkeys(points, float))
        truth = list(csv.reader(content.decode().splitlines()))
        assert frame["image_name"].tolist() == [row[0] for row in truth[1:]]
        numbers = np.loadtxt(io.BytesIO(content), delimiter=",", skiprows=1, usecols=range(1, 137))
        np.testing.assert_array_equal(frame[points].to_numpy(), numbers)
        assert frame["image_name"][65] == "person-7.jpg"
        assert frame[points].to_numpy()[65, :8].tolist() == [32, 65, 33, 76, 34, 86, 34, 97]


FAULTS = {  # what the file holds, and what is said about it
    "empty": ("", "empty file"),
    "only a mark": (b"\xef\xbb\xbf", "empty file"),
    "missing column": ("Name,count,size\na,1,2\n", "line 1: column 'name' is missing; did you mean 'Name'?"),
    "wrong delimiter": ("name;count;size\na;1;2\n", "line 1: column 'name' is missing; .*name;count;size"),
    "column twice": ("name,count,size,name\na,1,2,b\n", "line 1: column 'name' is there twice"),
    "too few": ("name,count,size\na,1,2\nb,3\n", "line 3: 2 cells .* 3 columns; the first column without .* 'size'"),
    "much too few": (
        "name,count,size\na\n",
        "line 2: 1 cells .* 3 columns; the first column without a cell is 'count'",
    ),
    "too many": ("name,count,size\na,1,2\nb,3,4,5\n", "line 3: 4 cells .* without a column, after 'size', is '5'"),
    "comma at the end": ("name,count,size\na,1,2,\n", "line 2: 4 cells .* is ''"),
    "every row too long": ("name,count,size\na,1,2,3\nb,1,2,3\n", "line 2: 4 cells"),
    "blank between": ("name,count,size\na,1,2\n\nb,1,2\n", "line 3: blank, and more lines follow"),
    "NA for an int": ("name,count,size\na,NA,2\n", "line 2, column 'count': 'NA' is not a whole number"),
    "nothing for an int": ("name,count,size\na,,2\n", "line 2, column 'count': '' is not a whole number"),
    "half": ("name,count,size\na,1.5,2\n", "line 2, column 'count': '1.5' is not a whole number"),
    "one as a float": ("name,count,size\na,1.0,2\n", "line 2, column 'count': '1.0' is not a whole number"),
    "grouped": ("name,count,size\na,1_000,2\n", "line 2, column 'count': '1_000' is not a whole number"),
    "too large": (
        "name,count,size\na,9223372036854775808,2\n",
        r"line 2, column 'count': '9223372036854775808' .* below 2\*\*63",
    ),
    "5,000 digits": ("name,count,size\na," + "9" * 5000 + ",2\n", "line 2, column 'count': '9{80}…' is not a whole"),
    "other digits": ("name,count,size\na,٣,2\n", "line 2, column 'count': '٣' is not a whole number"),
    "NA for a float": ("name,count,size\na,1,NA\n", "line 2, column 'size': 'NA' is not a finite number"),
    "nan": ("name,count,size\na,1,2\na,1,nan\n", "line 3, column 'size': 'nan' is not a finite number"),
    "inf": ("name,count,size\na,1,-inf\n", "line 2, column 'size': '-inf' is not a finite number"),
    "overflow": ("name,count,size\na,1,1e999\n", "line 2, column 'size': '1e999' is not a finite number"),
    "nothing for a float": ("name,count,size\na,1,\n", "line 2, column 'size': '' is not a finite number"),
    "after lines in quotes": ('name,count,size\n"a\n\nb",1,2\nc,1,2\nd,x,2\n', "line 6, column 'count': 'x'"),
    "short after lines in quotes": ('name,count,size\n"a\n\nb",1,2\nc,1\n', "line 5: 2 cells"),
    "NUL": ("name,count,size\na,1,2\nb\0,1,2\n", "line 3, byte 23: a NUL byte"),
    "unclosed quote": ('name,count,size\na,1,2\n"b,1,2\nc,1,2\n', "line 3: a quote is opened here and never closed"),
    "text after a quote": ('name,count,size\n"a"b,1,2\n', "line 2: broken quotes"),
    "UTF-16": ("name,count,size\na,1,2\n".encode("utf-16"), "line 1: UTF-16 by its byte order mark"),
    "UTF-16 without a mark": ("name,count,size\n".encode("utf-16-le"), "line 1, byte 1: a NUL byte; is it UTF-16"),
    "Latin-1": (
        "name,count,size\na,1,2\nJosé,1,2\n".encode("latin-1"),
        "line 3, byte 25: 0xe9 is not UTF-8; is it Latin-1",
    ),
    "Latin-1 after a mark": (b"\xef\xbb\xbfname,count,size\n\xe9,1,2\n", "line 2, byte 19: 0xe9 is not UTF-8"),
    "old Macintosh": ("name,count,size\ra,1,2\r", "line 1: a carriage return inside a row"),
    "cell of 200 kB": ("name,count,size\n" + "a" * 200_000 + ",1,2\n", "line 2: a cell is too long"),
}


class TestFaults:
    @pytest.mark.parametrize("fault", FAULTS)
    def test_file_line_and_column_are_named(self, table, fault):
        content, says = FAULTS[fault]
        with pytest.raises(CorruptDataError, match=r"table\.csv: " + says) as caught:
            table(content)
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)

    @pytest.mark.parametrize("fault", FAULTS)
    def test_also_where_parts_and_blocks_are_small(self, table, fault, monkeypatch):
        content, says = FAULTS[fault]
        if fault not in ("cell of 200 kB", "5,000 digits"):  # which are longer than such a block
            monkeypatch.setattr("datakit.tables._CELLS", 1)
            monkeypatch.setattr("datakit.tables._BLOCK", 32)
            with pytest.raises(CorruptDataError, match=r"table\.csv: " + says):
                table(content)

    @settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(st.text('ab\n,"', max_size=5), max_size=30), st.data(), st.sampled_from([3, 12, 2**16]))
    def test_a_bad_cell_is_named_by_its_line(self, table, names, data, cells):
        bad = data.draw(st.integers(0, len(names)))
        rows = [[name, "1", "2"] for name in names]
        rows.insert(bad, ["x", "ONE", "2"])
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows])
        line = text.getvalue()[: text.getvalue().index("ONE")].count("\n") + 1
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("datakit.tables._CELLS", cells)
            with pytest.raises(CorruptDataError, match=f"line {line}, column 'count': 'ONE'"):
                table(text.getvalue())

    @pytest.mark.parametrize(("bad", "says"), [(b"\0", "a NUL byte"), (b"\xe9", "0xe9 is not UTF-8")])
    def test_bytes_are_counted_from_the_start_of_the_file(self, table, monkeypatch, bad, says):
        monkeypatch.setattr("datakit.tables._BLOCK", 64)
        content = (
            b"\xef\xbb\xbfname,count,size\n" + b"n\xc3\xbc,1,2\n" * 100 + b"n" + bad + b",1,2\n" + b"n,1,2\n" * 100
        )
        with pytest.raises(CorruptDataError, match=f"line 102, byte {content.index(bad)}: {says}"):
            table(content)

    def test_blank_lines_between_parts(self, table, monkeypatch):
        monkeypatch.setattr("datakit.tables._CELLS", 6)  # two rows
        head = "name,count,size\na,1,2\n"
        assert len(table(head + "\n" * 3)) == 1
        with pytest.raises(CorruptDataError, match="line 3: blank, and more lines follow"):
            table(head + "\nb,1,2\n")
        with pytest.raises(CorruptDataError, match="line 3: blank, and more lines follow"):
            table(head + "\n\n\nb,1,2\n")

    def test_missing_folder_pipe(self, tmp_path):
        with pytest.raises(MissingDataError, match=r"none\.csv: there is no such file"):
            read_table(tmp_path / "none.csv", COLUMNS)
        with pytest.raises(CorruptDataError, match="a folder, not a table"):
            read_table(tmp_path, COLUMNS)
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(CorruptDataError, match="not a regular file"):
            read_table(tmp_path / "pipe", COLUMNS)

    def test_wrong_questions(self, table):
        with pytest.raises(TypeError, match="str, int or float, not <class 'bool'>"):
            table("name\n", {"name": bool})
        with pytest.raises(UnknownNameError, match="unknown extra 'ignored'; did you mean 'ignore'"):
            table("name\n", {"name": str}, extra="ignored")


HARNESS = """
import json, os, resource, sys, time
import pandas, pyarrow
from datakit.tables import read_table
read_table(sys.argv[1] + "/good", {"name": str, "count": int, "size": float})
result = {}
for name in sorted(os.listdir(sys.argv[1])):
    receive, send = os.pipe()
    if os.fork() == 0:
        start = time.perf_counter()
        try:
            said = str(len(read_table(os.path.join(sys.argv[1], name), {"name": str, "count": int, "size": float})))
        except Exception as error:
            said = f"{type(error).__name__} {error}"
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        os.write(send, json.dumps({"said": said, "s": time.perf_counter() - start, "kB": memory}).encode())
        os._exit(0)
    os.close(send)
    with os.fdopen(receive) as file:
        result[name] = json.loads(file.read())
    os.wait()
print(json.dumps(result))
"""


def measured(folder: Path) -> dict[str, dict]:
    """What reading each file in `folder` said, the seconds and kB it took, each in a process of its own."""
    (folder / "good").write_text("name,count,size\na,1,2\n")
    run = subprocess.run([sys.executable, "-c", HARNESS, folder], capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


class TestResources:
    def test_hostile_files_end_soon_and_small(self, tmp_path):
        contents = {
            "one cell": b"x" * 100_000_000,
            "one quoted cell": b'"' + b"x" * 100_000_000,
            "one quoted cell of lines": b'"' + b"xxxxxxxxx\n" * 10_000_000,
            "commas": b"," * 100_000_000,
            "lines of commas": b",\n" * 50_000_000,
            "blank lines": b"\n" * 100_000_000,
        }
        for name, content in contents.items():
            (tmp_path / name).write_bytes(b"name,count,size\n" + content)
        (tmp_path / "header").write_bytes(b"a," * 400_000 + b"\n")
        (tmp_path / "long header").write_bytes(b",".join(b"%d" % n for n in range(150_000)) + b"\n")
        result = measured(tmp_path)
        base = result.pop("good")
        for name, one in result.items():
            assert one["said"].startswith(f"CorruptDataError {tmp_path / name}: line "), name
            assert len(one["said"]) < 20_000, name
            assert one["s"] < 5, (name, one["s"])
            assert one["kB"] - base["kB"] < 256 * 1024, (name, one["kB"] - base["kB"])

    @pytest.mark.slow
    def test_ten_million_rows(self, tmp_path):
        with (tmp_path / "rows").open("w") as file:
            file.write("name,count,size\n")
            for start in range(0, 10_000_000, 100_000):
                file.write("".join(f"image-{row:08d}.jpg,{row},{row / 8}\n" for row in range(start, start + 100_000)))
        result = measured(tmp_path)
        assert result["rows"]["said"] == "10000000"
        assert result["rows"]["s"] < 120
        assert (
            result["rows"]["kB"] - result["good"]["kB"] < 1536 * 1024
        )  # the table has 410 MB, and is put together once
