"""How often the rule ``never-trained`` errs: ``python -m benchmarks.never_trained``.

Two rates, each with its one-sided 95 % upper bound (Clopper and Pearson): layers that were only
just made and that it does not find, and layers that learned and that it finds all the same. Every
layer is looked at live and from a safetensors file, which tells names only, in float32 and cast to
bfloat16 and float16. Layers of one network, and the same layer twice, are not independent, so the
bounds of a single row mean more than those of a sum.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

import weigh
from benchmarks import digit_networks, fresh_layers
from benchmarks.verdicts import (
    CHANGE_ORDER,
    DETECTED,
    SILENT,
    SIZE_ORDER,
    Unit,
    Verdict,
    alarms,
    ask,
    cast,
    rates,
    sources,
    units,
    verdict,
)

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def fresh(count: int, seed: int, folder: Path, keras: int = 0) -> Iterator[Verdict]:
    """Verdicts on fresh layers, each in a network of which the rest learned."""
    for index in range(count):
        made = fresh_layers.fresh(index, seed)
        own = list(units(made.network, "fresh"))
        for dtype, type_ in DTYPES.items():
            for source, given in sources(cast(made.network, type_), folder):
                report = ask(given)
                for unit in own:
                    said, told, _ = verdict(report, unit)
                    yield Verdict(unit, made.kind, source, dtype, said, 0, told, made.note)
    for path, kind, values in fresh_layers.keras_files(keras, seed, folder):
        names = [t.name for t in weigh.open(path).tensors() if t.name.startswith("fresh.")]
        said, told, _ = verdict(ask(path), unit := Unit("fresh", tuple(names), kind, values))
        yield Verdict(unit, kind, path.suffix, "float32", said, 0, told, f"{kind}, {values}")


def untouched(count: int, seed: int, folder: Path) -> Iterator[Verdict]:
    """Verdicts on the layers of whole networks in which nothing moved."""
    for index in range(count):
        network, name, _ = digit_networks.make(index, seed + 1)
        own = list(units(network))
        for dtype, type_ in DTYPES.items():
            for source, given in sources(cast(network, type_), folder):
                report = ask(given)
                for unit in own:
                    said, told, _ = verdict(report, unit)
                    group = name.split(": ")[1].split(",")[0]
                    yield Verdict(unit, group, source, dtype, said, 0, told, name)


def trained(count: int, seed: int, folder: Path) -> Iterator[Verdict]:
    """Verdicts on the layers of networks that learned digits, and how far each moved."""
    for index in range(count):
        run = digit_networks.train(index, seed)
        own = list(units(run.network))
        group = run.name.split(": ")[1].split(",")[0]
        for dtype, type_ in DTYPES.items():
            now = dict(run.network.named_parameters())
            changes = {unit: change(unit.names, run.first, now, type_) for unit in own}
            for source, given in sources(cast(run.network, type_), folder):
                report = ask(given)
                for unit in own:
                    said, told, tensor = verdict(report, unit)
                    moved = changes[unit]
                    if tensor:  # a finding of one tensor is true if that one did not move
                        moved = change((tensor,), run.first, now, type_)
                    yield Verdict(unit, group, source, dtype, said, moved, told, run.name)


def change(
    names: Sequence[str], first: dict[str, Tensor], now: dict[str, Tensor], dtype: torch.dtype
) -> float:
    """The norm of the change of some tensors over their norm at first; 0 if no value differs."""
    moved = norm = 0.0
    for name in names:
        before = first[name].to(dtype).double()
        after = now[name].detach().to(dtype).double()
        moved += float((after - before).square().sum())
        norm += float(before.square().sum())
    if not moved:
        return 0.0
    return (moved / norm) ** 0.5 if norm else float("inf")  # all were 0 at first


def report(
    fresh_ones: Sequence[Verdict], untouched_ones: Sequence[Verdict], ones: Sequence[Verdict]
) -> Iterator[object]:
    """The tables and every error, as Markdown."""
    yield "## Fresh layers among trained ones\n"
    native = [one for one in fresh_ones if not one.group.startswith(("init ", "Keras "))]
    other = [one for one in fresh_ones if one.group.startswith(("init ", "Keras "))]
    yield rates("Default initialisation, by number of values", "values", native, order=SIZE_ORDER)
    yield rates("Other initialisations, by number of values", "values", other, order=SIZE_ORDER)
    yield rates("By what was made", "made", [one for one in fresh_ones if one.unit.values > 49])
    yield "(Layers of 50 values and more.)\n"
    yield rates("Networks in which nothing moved", "values", untouched_ones, order=SIZE_ORDER)
    moved = [one for one in ones if one.change]
    still = [one for one in ones if not one.change]
    yield "## Trained layers\n"
    yield alarms("Layers that moved, by number of values", "values", moved, order=SIZE_ORDER)
    yield alarms("By how far they moved", "relative change", moved, order=CHANGE_ORDER)
    yield alarms("By network", "network", moved)
    yield rates("Layers of trained networks that did not move", "values", still, order=SIZE_ORDER)
    yield listing("Every false finding", [one for one in moved if one.said == DETECTED])
    yield listing(
        "Every miss, of 50 values and more",
        [one for one in (*native, *other, *untouched_ones, *still) if one.said == SILENT],
        least=50,
    )


def listing(title: str, ones: Sequence[Verdict], least: int = 0) -> str:
    """Errors one by one, the same layer's together."""
    together: dict[tuple[str, str], list[Verdict]] = {}
    for one in ones:
        if one.unit.values >= least:
            together.setdefault((one.note, one.unit.path or one.unit.names[0]), []).append(one)
    lines = [f"### {title}: {len(together)} layers", ""]
    for (note, path), same in together.items():
        one, seen = same[0], ", ".join(f"{v.source} {v.dtype} ({v.change:.2g})" for v in same)
        about = f"`{path}`, {one.unit.kind} of {one.unit.values:,} in [{note}]: {seen}"
        lines.append(f"- {about} {one.told}")
    return "\n".join((*lines, ""))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.never_trained", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a twentieth of everything")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fresh", type=int, default=2000, help="how many fresh layers")
    parser.add_argument("--trained", type=int, default=330, help="how many trained networks")
    parser.add_argument("--json", type=Path, help="a file for every single verdict")
    options = parser.parse_args(arguments)
    part = 20 if options.quick else 1
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", "LSTM with projections|enable_nested_tensor")
    with TemporaryDirectory() as name:
        folder = Path(name)
        seed = options.seed
        tell("fresh layers")
        fresh_ones = list(
            fresh(options.fresh // part, seed, folder, keras=options.fresh // 20 // part)
        )
        tell("networks in which nothing moved")
        untouched_ones = list(untouched(options.trained // 3 // part, seed, folder))
        tell("trained networks")
        ones = list(trained(options.trained // part, seed, folder))
    if options.json:
        every = {"fresh": fresh_ones, "untouched": untouched_ones, "trained": ones}
        options.json.write_text(
            json.dumps({name: [asdict(one) for one in some] for name, some in every.items()})
        )
    for text in report(fresh_ones, untouched_ones, ones):
        print(text)


def tell(what: str) -> None:
    print(f"checking {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
