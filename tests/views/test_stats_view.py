"""The document of ``weigh stats``: which columns and rows there are, and what is said of them."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import weigh
from test_cli import in_terminal, run
from weigh._errors import UnknownNameError
from weigh._views.stats import histogram_text, stats_document
from weigh._views.text import render

RNG = np.random.default_rng(7)


def arrays() -> dict[str, np.ndarray]:
    return {
        "conv.weight": RNG.standard_normal((4, 3, 5, 5), np.float32),
        "conv.bias": np.array([0, 0, np.nan, np.inf], np.float32),
        "fc.weight": RNG.uniform(-1, 1, (10, 64)).astype(np.float16),
    }


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stats") / "model.safetensors"
    save_file(arrays(), path)
    return path


def test_a_pipe_gets_every_column_and_no_histogram(file: Path) -> None:
    done = run("stats", file)
    assert done.returncode == 0
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    titles = "name values mean std min 1 % median 99 % max skewness kurtosis zeros rms L2 entropy"
    assert lines[0].split() == titles.split()
    by_name = {line.split()[0]: line for line in lines[1:5]}
    assert by_name["conv.bias"].endswith("1 NaN, 1 +Inf")
    assert by_name["(all"].split()[2] == "944"
    assert "█" not in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 140, 200])
def test_a_terminal_is_used_and_respected(file: Path, columns: int) -> None:
    printed = in_terminal(columns, "stats", file, NO_COLOR="1")
    assert max(map(len, printed.splitlines())) <= columns
    assert "conv.weight" in printed
    assert ("█" in printed) == (columns >= 80)
    assert ("skewness" in printed) == (columns >= 140)


def test_rows_are_sorted_and_the_rest_counted(file: Path) -> None:
    text = run("stats", file, "--sort", "std", "--top", "2").stdout
    assert [line.split()[0] for line in text.splitlines()[1:3]] == ["conv.weight", "fc.weight"]
    assert "2 of 3 rows are shown, by std." in text
    text = run("stats", file, "--sort", "std", "--ascending").stdout
    assert [line.split()[0] for line in text.splitlines()[1:4]] == [
        "conv.bias",
        "fc.weight",
        "conv.weight",
    ]
    text = run("stats", file, "--sort", "distinct").stdout  # a column of its own
    assert "distinct" in text.splitlines()[0]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--sort", "kurtossis"), "rows cannot be sorted by 'kurtossis'. Did you mean 'kurtosis'?"),
        (("--by", "out_chanels"), "no axis called 'out_chanels'. Did you mean 'out_channels'"),
        (("nothing.*",), "no tensor matches 'nothing.*'"),
        (("--quantile", "1.5"), "1.5 is not in the range 0<=x<=1"),
        (("--json", "--csv"), "--json and --csv do not go together"),
    ],
)
def test_what_is_wrong_is_one_line(file: Path, asked: tuple[str, ...], said: str) -> None:
    done = run("stats", file, *asked)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr


def test_json_holds_what_python_gives(file: Path) -> None:
    document = json.loads(run("stats", file, "--json").stdout)
    report = weigh.stats(file)
    assert [row["name"] for row in document["tensors"]] == [row.name for row in report]
    for row in document["tensors"]:
        found = report[row["name"]]
        for key in ("count", "nan", "min", "max", "mean", "std", "kurtosis", "quantiles", "exact"):
            assert row[key] == getattr(found, key)
    assert document["total"]["count"] == report.total.count == 944
    assert document["complete"] is True
    grouped = json.loads(run("stats", file, "--by", "kind", "--json").stdout)
    assert [(row["name"], row["tensors"]) for row in grouped["groups"]] == [
        ("Conv2d", 2),
        ("Linear", 1),
    ]


def test_csv_and_parquet_hold_the_rows(file: Path, tmp_path: Path) -> None:
    from pyarrow import parquet

    target = tmp_path / "rows.parquet"
    done = run("stats", file, "--csv", "--parquet", target)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    report = weigh.stats(file)
    assert [row["name"] for row in rows] == [row.name for row in report]
    assert [float(row["std"]) for row in rows] == [report[row["name"]].std for row in rows]
    read = parquet.read_table(target).to_pylist()
    assert [row["q0.5"] for row in read] == [report[row["name"]].quantiles["0.5"] for row in read]
    done = run("stats", file, "--parquet", tmp_path / "no" / "rows.parquet")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_every_filter_has_a_row(file: Path) -> None:
    text = run("stats", file, "conv.weight", "--by", "out_channels").stdout
    rows = [line for line in text.splitlines() if line.startswith("conv.weight[out_channels=")]
    report = weigh.stats(file, "conv.weight", by="out_channels")
    assert len(rows) == len(report) == 4
    values = weigh.open(file)["conv.weight"].read().astype(np.float64)
    for at, row in enumerate(report):
        assert row.statistics is not None
        assert row.statistics.mean == pytest.approx(values[at].mean(), rel=1e-12)


def test_a_histogram_of_letters() -> None:
    assert histogram_text([]) == ""
    assert histogram_text([0, 0, 0]) == "   "
    assert histogram_text([1, 1000, 0]) == "▁█ "


def test_ties_and_problems_are_said() -> None:
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    module[1].weight = module[0].weight
    module.append(torch.nn.Linear(2, 2, device="meta"))
    text = render(stats_document(weigh.stats(module)))
    tied = next(line for line in text.splitlines() if line.startswith("1.weight"))
    assert tied.endswith("tied to 0.weight")
    meta = next(line for line in text.splitlines() if line.startswith("2.weight"))
    assert "meta device" in meta


def test_sorting_by_an_unknown_key_is_refused() -> None:
    report = weigh.stats({"a": np.zeros(3)})
    with pytest.raises(UnknownNameError, match="cannot be sorted"):
        stats_document(report, sort="nothing")


def test_ctrl_c_shows_what_is_done(tmp_path: Path) -> None:
    path = tmp_path / "big.safetensors"
    entries, offset = {}, 0
    for at in range(40):
        size = 1 << 26
        entries[f"layers.{at}.weight"] = {
            "dtype": "F32",
            "shape": [4096, 4096],
            "data_offsets": [offset, offset + size],
        }
        offset += size
    header = json.dumps(entries).encode()
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + offset)  # a sparse file: zeros that take no room
    process = subprocess.Popen(
        [sys.executable, "-m", "weigh", "stats", str(path), "--exact", "--threads", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ},
    )
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "Stopped before all was measured" in out
    assert "weigh: stopped" in err
