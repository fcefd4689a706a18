"""CSV files: against Python's csv module, and what is said about bad rows."""

from __future__ import annotations

import csv
import gzip
import io
import pathlib
import random
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from headway import input_pipelines
from headway.input_pipelines import Pipeline, _csv_records


@pytest.fixture
def write(tmp_path: pathlib.Path) -> Any:
    def write(content: str | bytes, name: str = "data.csv") -> str:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def _columns(pipeline: Pipeline) -> dict[str, list[Any]]:
    """All rows of a pipeline without labels, column by column."""
    batches = list(pipeline.dataset().as_numpy_iterator())
    return {name: [value for batch in batches for value in batch[name].tolist()] for name in batches[0]}


def _random_rows(seed: int, rows: int) -> list[list[str]]:
    """Rows with everything that a field may hold: delimiters, quotes, line breaks, spaces, no text at all."""
    source = random.Random(seed)
    pieces = ["", "a", "b c", ",", '"', '""', "\n", "x\ny", " ", "ü", "12", ";", "'", "\t"]
    return [
        [str(number), "".join(source.choices(pieces, k=source.randrange(4))), "".join(source.choices(pieces, k=2))]
        for number in range(rows)
    ]


@pytest.mark.parametrize("chunk_lines", [1, 3, 8192])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_quoted_fields_are_read_as_python_reads_them(
    write: Any, monkeypatch: pytest.MonkeyPatch, chunk_lines: int, ending: str
) -> None:
    monkeypatch.setattr(_csv_records, "_CHUNK_LINES", chunk_lines)
    rows = _random_rows(chunk_lines, 200)
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=ending).writerows([["number", "one", "two"], *rows])
    path = write(text.getvalue())
    expected = list(csv.reader(io.StringIO(text.getvalue(), newline="")))[1:]
    got = _columns(input_pipelines.from_csv(path, batch_size=7, dtypes={"one": str, "two": str}))
    assert got["number"] == [int(row[0]) for row in expected]
    assert got["one"] == [row[1].encode() for row in expected]
    assert got["two"] == [row[2].encode() for row in expected]


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("a,b\n1,x\n2,y\n", {}, {"a": [1, 2], "b": [b"x", b"y"]}),
        ("1;x\n2;y", {"header": False, "columns": ["a", "b"], "delimiter": ";"}, {"a": [1, 2], "b": [b"x", b"y"]}),
        ("1,7,x\n2,8,y\n", {"header": False, "columns": ["a", None, "b"]}, {"a": [1, 2], "b": [b"x", b"y"]}),
        ("a,c,b\n1,7,x\n2,8,y\n", {"columns": ["b", "a"]}, {"a": [1, 2], "b": [b"x", b"y"]}),
        ("\ufeffa,b\n1,x\n", {}, {"a": [1], "b": [b"x"]}),
        ("\ufeff1,x\n", {"header": False, "columns": ["a", "b"]}, {"a": [1], "b": [b"x"]}),
        ("a,b\n\n1,x\n\n\n2,y\n\n", {}, {"a": [1, 2], "b": [b"x", b"y"]}),
        ("#hi\na,b\n1,x\n# no, row\n2,y\n", {"comment": "#"}, {"a": [1, 2], "b": [b"x", b"y"]}),
        ("a,b\n1,\n2,y\n", {}, {"a": [1, 2], "b": [b"", b"y"]}),
        ("a,b\n1,?\n?,y\n", {"na_values": "?"}, {"a": [1.0, None], "b": [b"", b"y"]}),
        ("a,b\n1,?\nNA,y\n,\n", {"na_values": ["?", "NA"]}, {"a": [1.0, None, None], "b": [b"", b"y", b""]}),
        ("a,b\n1,x\n,\n", {"defaults": {"a": 7, "b": "none"}}, {"a": [1, 7], "b": [b"x", b"none"]}),
        ("a,b\n1, x\n 2,  y\n", {"skip_initial_space": True}, {"a": [1, 2], "b": [b"x", b"y"]}),
        ('a,b\n1, "x, y "\n2," z"\n', {"skip_initial_space": True}, {"a": [1, 2], "b": [b"x, y ", b" z"]}),
        ("a,b\n1, ?\n ?, y\n", {"skip_initial_space": True, "na_values": "?"}, {"a": [1.0, None], "b": [b"", b"y"]}),
        ("a, b\n1, x\n", {}, {"a": [1], " b": [b" x"]}),
        ('a,b\n1,x"y\n2,"z"\n', {"quote": None}, {"a": [1, 2], "b": [b'x"y', b'"z"']}),
        ('a,b\n"1","x"\n"2","y"\n', {}, {"a": [1, 2], "b": [b"x", b"y"]}),
        ("a\n1\n2.5\n", {}, {"a": [1.0, 2.5]}),
        ("a\n1e3\n-.5\n+2.\n inf\n", {}, {"a": [1000.0, -0.5, 2.0, float("inf")]}),
        ("a\n-1\n+2\n 3 \n", {}, {"a": [-1, 2, 3]}),
        ("a\n1\n2\n", {"dtypes": {"a": str}}, {"a": [b"1", b"2"]}),
        ("a\n1\n2\n", {"dtypes": {"a": "float64"}}, {"a": [1.0, 2.0]}),
        ("a,b\n9223372036854775807,99999999999999999999\n", {}, {"a": [2**63 - 1], "b": [b"9" * 20]}),
        ("a,b\n-9223372036854775808,-9223372036854775809\n", {}, {"a": [-(2**63)], "b": [b"-9223372036854775809"]}),
        # float64 would take this number for the one before it.
        ("a,b\n9007199254740993,1\n,2\n", {}, {"a": [b"9007199254740993", b""], "b": [1, 2]}),
        ("a,b\n123456789,x\n,y\n", {}, {"a": [123456789.0, None], "b": [b"x", b"y"]}),
        ("a.b|c\n1|x.y\n", {"delimiter": "|"}, {"a.b": [1], "c": [b"x.y"]}),
        ("a\tb\n1\tx\n", {"delimiter": "\t"}, {"a": [1], "b": [b"x"]}),
    ],
)
def test_formats(write: Any, text: str, options: dict[str, Any], expected: dict[str, list[Any]]) -> None:
    got = _columns(input_pipelines.from_csv(write(text), **options))
    assert {name: [None if v != v else v for v in values] for name, values in got.items()} == expected
    assert {type(v) for v in got.get("a", [])} == {type(v) if v is not None else float for v in expected.get("a", [])}


@pytest.mark.parametrize("label", ["y", ["y", "z"]])
def test_labels(write: Any, label: str | list[str]) -> None:
    pipeline = input_pipelines.from_csv(write("x,y,z\n1,2,a\n3,4,b\n"), label=label)
    features, labels = next(iter(pipeline.dataset()))
    got = labels if isinstance(label, list) else {"y": labels}
    assert got["y"].numpy().tolist() == [2, 4]
    assert sorted(features) == (["x"] if isinstance(label, list) else ["x", "z"])


def test_several_files_are_read_in_the_order_of_their_names(write: Any, tmp_path: pathlib.Path) -> None:
    for number in (2, 0, 1):
        text = f"x\n{number * 10}\n{number * 10 + 1}\n"
        write(gzip.compress(text.encode()) if number == 1 else text, f"part{number}.csv{'.gz' if number == 1 else ''}")
    got = _columns(input_pipelines.from_csv(str(tmp_path / "part*"), batch_size=4))
    assert got["x"] == [0, 1, 10, 11, 20, 21]
    listed = input_pipelines.from_csv([str(tmp_path / "part2.csv"), tmp_path / "part0.csv"])
    assert _columns(listed)["x"] == [20, 21, 0, 1]


def _batches(pipeline: Pipeline, start: int = 0) -> list[list[int]]:
    return [batch["x"].tolist() for batch in pipeline.elements(start).as_numpy_iterator()]


@pytest.fixture
def numbers(write: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two files with the numbers from 0 to 22, read three lines at a time."""
    monkeypatch.setattr(_csv_records, "_CHUNK_LINES", 3)
    halves = ["x\n" + "".join(f"{n}\n" for n in part) for part in (range(10), range(10, 23))]
    return [write(half, f"{number}.csv") for number, half in enumerate(halves)]


def test_batches_go_across_files_and_not_across_epochs(numbers: list[str]) -> None:
    rows = list(range(23))
    expected = [rows[n : n + 4] for n in range(0, 23, 4)] * 2
    assert _batches(input_pipelines.from_csv(numbers, batch_size=4, num_epochs=2)) == expected


@pytest.mark.parametrize(
    "options",
    [
        {"num_epochs": 2},
        {"num_epochs": 3, "shuffle": True, "shuffle_buffer": 5, "seed": 1},
        {"num_epochs": 2, "shuffle": True, "drop_remainder": True},
        {"num_epochs": 2, "shuffle": True, "shuffle_buffer": 100, "shard": (3, 1)},
        {"num_epochs": 2, "shard": (2, 1)},
    ],
)
def test_starting_at_a_batch_gives_the_tail_of_the_whole_run(numbers: list[str], options: dict[str, Any]) -> None:
    shard = options.get("shard")
    pipeline = input_pipelines.from_csv(numbers, batch_size=4, **{k: v for k, v in options.items() if k != "shard"})
    pipeline = pipeline.shard(*shard) if shard else pipeline
    assert pipeline.position_kind == "count"
    whole = _batches(pipeline)
    epoch = len(whole) // options["num_epochs"]
    for start in sorted({0, 1, epoch - 1, epoch, epoch + 1, len(whole) - 1, len(whole), len(whole) + 9}):
        assert _batches(pipeline, start) == whole[start:]


def test_a_shuffled_epoch_holds_every_row_once_in_a_new_order(numbers: list[str]) -> None:
    pipeline = input_pipelines.from_csv(
        numbers, batch_size=23, shuffle=True, shuffle_buffer=4, num_epochs=3, seed=5
    )  # fmt: skip
    epochs = _batches(pipeline)
    assert all(sorted(epoch) == list(range(23)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert _batches(pipeline) == epochs
    assert _batches(pipeline.with_seed(6)) != epochs
    drawn = input_pipelines.from_csv(numbers, shuffle=True)
    assert drawn.seed != drawn().seed
    assert drawn.fingerprint == drawn().fingerprint != pipeline.fingerprint


def test_an_endless_pipeline_repeats(numbers: list[str]) -> None:
    pipeline = input_pipelines.from_csv(numbers, batch_size=23, num_epochs=None)
    assert [batch["x"].numpy().tolist() for batch in pipeline.elements(7).take(2)] == [list(range(23))] * 2


@pytest.mark.parametrize("shards", [2, 3])
def test_shards_are_disjoint_and_cover_all(numbers: list[str], shards: int) -> None:
    pipeline = input_pipelines.from_csv(numbers, shuffle=True)
    rows = [row for index in range(shards) for batch in _batches(pipeline.shard(shards, index)) for row in batch]
    assert sorted(rows) == list(range(23))
    context = tf.distribute.InputContext(num_input_pipelines=2, input_pipeline_id=1, num_replicas_in_sync=2)
    # Two files for two workers: one each.
    assert _batches(input_pipelines.from_csv(numbers)(input_context=context)) == [list(range(10, 23))]


def test_a_mapped_function_and_fetch(numbers: list[str]) -> None:
    pipeline = input_pipelines.from_csv(numbers, batch_size=10).map_batches(lambda f: {"x": f["x"] * 2})
    fetched = [pipeline.fetch(pipeline.tables(), element)["x"].numpy().tolist() for element in pipeline.elements(1)]
    assert fetched == [list(range(20, 40, 2)), [40, 42, 44]]
    assert pipeline.fetch_key == input_pipelines.from_csv(numbers[:1]).map_batches(lambda f: f).fetch_key
    assert pipeline.num_rows is None
    assert pipeline.num_batches is None


def test_a_pipeline_describes_itself(write: Any) -> None:
    path = write("age,job,rich\n25,cook,1\n")
    assert input_pipelines.from_csv(path, label="rich", batch_size=5).describe().splitlines() == [
        f"rows of {path}, batches of 5, in row order",
        "  feature age  int64    (None,)",
        "  feature job  string   (None,)",
        "  label        int64    (None,)",
    ]


# What is beyond the first 1000 rows is met only while reading: the error of TensorFlow names the place then.

_GOOD = "a,b\n" + "1,x\n" * 1000  # lines 1 to 1001


@pytest.mark.parametrize(
    ("row", "options", "message"),
    [
        (
            "2.5,y",
            {},
            r"data\.csv, line 1002: the column .*a.* holds .*2\.5.*, which is not of type int64.*Received: 2\.5,y",
        ),
        ("z,y", {"dtypes": {"a": "float32"}}, r"line 1002: the column .*a.* holds .*z.*, which is not of type float32"),
        ("2,y,3", {}, r"line 1002: 3 fields, but 2 are expected.*Received: 2,y,3"),
        ("2", {}, r"line 1002: 1 fields, but 2 are expected"),
        (",y", {}, r"line 1002: the column .*a.* is missing, and a label or a column of integers has no default"),
        ("2,", {"label": "b"}, r"line 1002: the column .*b.* is missing"),
        ("2,?", {"label": "b", "na_values": "?"}, r"line 1002: the column .*b.* is missing"),
        ("2, ", {"label": "b", "skip_initial_space": True}, r"line 1002: the column .*b.* is missing"),
        (",y", {"label": "a"}, r"line 1002: the column .*a.* is missing"),
        ("?,y", {"na_values": ["?", "-"]}, r"line 1002: the column .*a.* holds .*\?.*not of type int64"),
        ('2,y"z"', {}, r"line 1002: a double quote inside a field"),
        ('2,"y\n3,y', {}, r"line 1002: a double quote is opened here and never closed.*quote=None"),
        ('2,"y\nz"\n3,y,4', {}, r"line 1004: 3 fields"),
        ("\n\n9,9,9", {}, r"line 1004: 3 fields"),
        ('2," y"" z"\n"x",y', {}, r"line 1003: the column .*a.* holds .*x.*, which is not of type int64"),
        (b"2,\xff\xfe", {}, r"line 1002: .*text that is not UTF-8"),
    ],
)
@pytest.mark.parametrize("shuffle", [False, True])
def test_bad_rows_are_named_by_file_and_line(
    write: Any, row: str | bytes, options: dict[str, Any], message: str, shuffle: bool
) -> None:
    text = row if isinstance(row, bytes) else row.encode()
    path = write(_GOOD.encode() + text + b"\n" + b"4,w\n")
    pipeline = input_pipelines.from_csv(path, batch_size=100, shuffle=shuffle, **options)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"(?s){message}"):
        for _ in pipeline.dataset():
            pass


def test_a_bad_row_is_named_in_the_right_one_of_several_files(write: Any) -> None:
    paths = [write(_GOOD, "one.csv"), write("a,b\n2,y\nbad,z\n", "two.csv")]
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"two\.csv, line 3: .*bad"):
        list(input_pipelines.from_csv(paths).dataset())


def test_many_columns(write: Any) -> None:
    table = np.arange(3 * 700).reshape(3, 700)
    lines = [",".join(f"c{n}" for n in range(700)), *(",".join(map(str, row)) for row in table)]
    got = _columns(input_pipelines.from_csv(write("\n".join(lines))))
    np.testing.assert_array_equal(np.stack(list(got.values()), 1), table)


def test_whole_numbers_with_gaps_stay_exact_far_down(write: Any) -> None:
    late = ["16777217", "-16777219", "9006999999999999", "1.5", "2e3", "", "1700000000000001"]
    values = ["1", "", *["2"] * 1100, *late]
    path = write("\n".join(["x,y", *(f"{value},a" for value in values)]) + "\n")
    pipeline = input_pipelines.from_csv(path, batch_size=500)
    assert pipeline.element_spec["x"].dtype == tf.float64
    found = _columns(pipeline)["x"]
    expected = [16777217.0, -16777219.0, 9006999999999999.0, 1.5, 2000.0, None, 1700000000000001.0]
    assert [None if value != value else value for value in found if value not in (1.0, 2.0)][1:] == expected


@pytest.mark.parametrize("number", ["9007199254740993", "-123456789012345678", "9100000000000000"])
def test_a_whole_number_that_float64_would_change(number: str, write: Any) -> None:
    path = write("\n".join(["x,y", "1,a", ",b", *["2,c"] * 1100, f"{number},d"]) + "\n")
    message = (
        rf"line 1104: the column .*x.* holds .*{number}.*, which is not of type float64, or is a whole number beyond"
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        _columns(input_pipelines.from_csv(path, batch_size=500))
    # Whoever asks for the type has its numbers.
    chosen = input_pipelines.from_csv(path, batch_size=500, dtypes={"x": "float64"})
    assert float(number) in _columns(chosen)["x"]


@pytest.mark.parametrize("text", ["a,b\r1,2\r3,4\r", 'a,b\r1,"x, ""y"""\r3,4'])
@pytest.mark.parametrize("header", [True, False])
def test_lines_that_end_in_cr_alone(text: str, header: bool, write: Any) -> None:
    path = write(text)
    with pytest.raises(ValueError, match=r"lines end in CR alone.*tr '.r' '.n' < .*data.csv"):
        input_pipelines.from_csv(path, header=header, columns=None if header else ["a", "b"])


def test_cr_before_lf(write: Any) -> None:
    path = write('a,b\r\n"x\ny",2\r\n')
    columns = _columns(input_pipelines.from_csv(path))
    assert (columns["a"], columns["b"]) == ([b"x\ny"], [2])


@pytest.mark.parametrize("field", ["x\ry", "x\r\ny", "\r"])
@pytest.mark.parametrize("header", [True, False])
def test_cr_within_a_field(field: str, header: bool, write: Any) -> None:
    path = write(("a,b\r\n" if header else "") + f'z,1\r\n"{field}",2\r\n')
    last = 2 + header + field.count("\n")
    with pytest.raises(ValueError, match=rf"data.csv, line {last}: a field holds a carriage return \(CR\)"):
        input_pipelines.from_csv(path, header=header, columns=None if header else ["a", "b"])


def test_cr_where_quotes_have_no_meaning(write: Any) -> None:
    with pytest.raises(ValueError, match=r"data.csv, line 2: a field holds a carriage return \(CR\)"):
        input_pipelines.from_csv(write("a,b\nx\ry,1\n"), quote=None)
