"""Rules on memory and files: saved slices, files that do not fit, what is one tensor."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator

from weigh._checks.finding import Finding, Unsure
from weigh._checks.rule import Limit, Limits, Rule
from weigh._checks.subject import Subject
from weigh._checks.twins import broken_tie, tied
from weigh._checks.type_rules import duplicate_name, mixed_dtype
from weigh._covered import Span, covered
from weigh._model import Tensor

_NAMED = 20


def saved_slice(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find storages of which a small part is used, and parts of the file that no tensor uses."""
    network = subject.network
    unused = 0
    for tensors in _by_storage(network.tensors()).values():
        spans = [_span(tensor) for tensor in tensors]
        stored = max(extent.storage_bytes for extent, _ in spans)
        used = min(covered(spans).bytes, stored)
        rest = stored - used
        unused += rest
        if not _much(rest, stored, limits):
            continue
        names = [tensor.name for tensor in tensors]
        more = f" together with {len(names) - 1:,} more" if len(names) > 1 else ""
        message = (
            f"it uses{more} {used:,} of the {stored:,} bytes that were saved with it: the tensor "
            "was a slice of a larger one"
        )
        evidence = {
            "used": used, "stored": stored, "unused": rest, "share": rest / stored,
            "tensors": names[:_NAMED],
        }  # fmt: skip
        yield Finding(names[0], message, evidence)
    accounts = network.accounts
    if accounts is None:
        return
    rest = accounts.unreachable - unused
    if _much(rest, accounts.total, limits):
        share = rest / accounts.total
        message = f"{rest:,} bytes of it ({share:.0%}) belong to no tensor"
        evidence = {"unused": rest, "stored": accounts.total, "share": share}
        do = "Save what was loaded once more, if they are of no use to anybody."
        yield Finding("", message, evidence, "info", do)


def _much(rest: int, whole: int, limits: Limits) -> bool:
    return rest >= limits["least-bytes"] and rest >= limits["least-share"] * whole


def _by_storage(tensors: Iterable[Tensor]) -> dict[Hashable, list[Tensor]]:
    """Give the tensors of each storage."""
    found: defaultdict[Hashable, list[Tensor]] = defaultdict(list)
    for tensor in tensors:
        extent = tensor.extent
        if extent is not None and extent.storage_bytes > 0:
            found[extent.storage].append(tensor)
    return found


def _span(tensor: Tensor) -> Span:
    extent = tensor.extent
    assert extent is not None  # as _by_storage saw to
    return extent, tensor.dtype


def shard_mismatch(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find what does not fit between the files of one network."""
    for fault in subject.network.faults:
        if fault.about == "shards":
            yield Finding(fault.where, fault.what, fault.numbers)


RULES: tuple[Rule, ...] = (
    Rule(
        "saved-slice",
        "a small slice saved with all of a large storage",
        saved_slice,
        needs=("file",),
        why="torch.save writes the whole storage of a view, so the file is larger than it need be.",
        do="Save a copy of the slice: torch.save(tensor.clone(), path).",
        limits={
            "least-bytes": Limit(65_536, "so many bytes of a storage must be unused"),
            "least-share": Limit(0.1, "and so large a share of it"),
        },
    ),
    Rule(
        "broken-tie",
        "two parameters with the same values that are not one tensor",
        broken_tie,
        severity="info",
        needs=("values",),
        why="Two tensors that should be one drift apart as soon as one of them is trained.",
        do="Tie them again (head.weight = embedding.weight) after loading and before training.",
        limits={"least-values": Limit(1000, "so many values a parameter must have to count")},
    ),
    Rule(
        "tied",
        "one tensor under several names, or memory that parameters share",
        tied,
        severity="info",
        needs=(),
        why="What trains one of the names trains the others, and copies may break the tie.",
        do="Nothing, if it is meant; else give each its own copy.",
    ),
    Rule(
        "mixed-dtype",
        "learnable parameters of different floating types",
        mixed_dtype,
        severity="info",
        needs=(),
        why="Layers of different types fail together, or are slower and less exact than they look.",
        do="Cast the network to one type (network.to(torch.float32)) unless the mix is meant.",
    ),
    Rule(
        "duplicate-name",
        "two names that mean one tensor",
        duplicate_name,
        needs=(),
        why="A loader takes one of the two and leaves the other, and nobody knows which.",
        do="Keep one of the two, after a look at whether their values agree.",
    ),
    Rule(
        "shard-mismatch",
        "files of one network that do not fit each other or their index",
        shard_mismatch,
        needs=("file",),
        why="Such files come from two savings, or from one that was cut short.",
        do="Fetch or save all files again, with their index.",
    ),
)
