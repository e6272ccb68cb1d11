"""Models in the local cache of the Hugging Face hub, by their names; nothing is downloaded."""

from __future__ import annotations

import os
import re
from pathlib import Path

from weigh._errors import FormatError, SourceError
from weigh._names import did_you_mean

PREFIX = "hf:"
_REPOSITORY = re.compile(r"(?:[\w.-]+/)?[\w.-]+")
_NAMED = 5
_REVISION = re.compile(r"[\w.-]+(?:/[\w.-]+)*")


def cached_model(name: str) -> str:
    """Find the folder of a cached model: ``hf:org/name`` or ``hf:org/name@revision``.

    Raises:
        FormatError: it is no name of a model.
        SourceError: the cache does not hold it.
    """
    wanted, _, revision = name.removeprefix(PREFIX).partition("@")
    revision = revision or "main"
    climbs = ".." in wanted.split("/") or ".." in revision.split("/")
    if climbs or not _REPOSITORY.fullmatch(wanted) or not _REVISION.fullmatch(revision):
        raise FormatError("a model of the hub is named hf:org/name or hf:org/name@revision")
    cache = _cache()
    model = cache / f"models--{wanted.replace('/', '--')}"
    if not model.is_dir():
        there = _models(cache)
        near = did_you_mean(wanted, there) or _listed(there)
        raise SourceError(
            f"the cache holds no model {wanted!r}",
            seen=str(cache) if cache.is_dir() else f"no folder {cache}",
            do=f"{near} Weigh downloads nothing: fetch it first.".strip(),
        )
    return str(_snapshot(model, wanted, revision))


def _cache() -> Path:
    """Find the cache where the hub's own library looks for it."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if os.environ.get(variable):
            return Path(os.environ[variable]).expanduser()
    home = os.environ.get("HF_HOME")
    if not home:
        home = os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")  # noqa: PTH118
    return Path(home).expanduser() / "hub"


def _models(cache: Path) -> list[str]:
    try:
        names = sorted(path.name for path in cache.glob("models--*"))
    except OSError:
        return []
    return [name.removeprefix("models--").replace("--", "/", 1) for name in names]


def _listed(models: list[str]) -> str:
    more = f" and {len(models) - _NAMED:,} more" if len(models) > _NAMED else ""
    return f"It holds {', '.join(models[:_NAMED])}{more}." if models else ""


def _snapshot(model: Path, name: str, revision: str) -> Path:
    """Find the folder of a revision: a branch or a tag, or the beginning of a commit."""
    snapshots = model / "snapshots"
    reference = model / "refs" / revision
    if reference.is_file():
        with reference.open("rb") as file:
            commit = file.read(100).decode("utf-8", "replace").strip()
        if re.fullmatch(r"[0-9a-zA-Z]+", commit) and (snapshots / commit).is_dir():
            return snapshots / commit
    there = sorted(path.name for path in snapshots.glob("*")) if snapshots.is_dir() else []
    fitting = [commit for commit in there if commit.startswith(revision)]
    # A model that was fetched by its commit alone has no branch in the cache.
    if revision == "main" and len(there) == 1:
        fitting = there
    if len(fitting) != 1:
        raise SourceError(
            f"the cache holds no revision {revision!r} of {name!r}",
            seen=", ".join(there[:5]) or "none",
            do=f"Name one of these: hf:{name}@{there[0][:8]}." if there else "",
        )
    return snapshots / fitting[0]
