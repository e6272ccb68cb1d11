"""The table of formats: how each is told, and which function reads it.

What other packages add stands in the same table: an entry point of the group ``weigh.formats``
names a ``Format``. Entry points are looked up only when no format of Weigh's own fits.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module
from typing import Any

from weigh._entry_points import added as added_to
from weigh._errors import UnsupportedError
from weigh._record import record

GROUP = "weigh.formats"
"""The group of entry points by which other packages add formats."""

ZIP = b"PK\x03\x04"


@record(frozen=True)
class Format:
    """One format that a network comes in: of a file, or of a folder.

    A file is told by its first bytes, of a zip archive also by its members, and only where no
    byte tells it, by how its name ends. A folder is told by the files in it.

    Attributes:
        name: what ``weigh`` calls it.
        title: what it is, in words.
        reader: ``"module:function"``, imported when such a source is opened. The function takes
            a ``ByteSource``, or for a folder a ``Folder``, and gives ``Facts``.
        starts: byte strings, at least one of which such a file holds, with their offsets.
        members: patterns, at least one of which fits a member of the zip archive that it is;
            those with slashes fit only members as deep.
        endings: how the names of such files end; of a folder none.
        files: patterns, at least one of which fits a file in the folder that it is.
        extra: the extra of Weigh that brings the library it needs, or the package to install.
        origin: the package that adds it.
    """

    name: str
    title: str
    reader: str
    starts: tuple[tuple[int, bytes], ...] = ()
    members: tuple[str, ...] = ()
    endings: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    extra: str = ""
    origin: str = "weigh"

    def fits(self, head: bytes, name: str, members: Callable[[], Collection[str]]) -> bool:
        """Whether a file may be of this format.

        Args:
            head: its first bytes.
            name: its own name.
            members: lists its members, if it is a zip archive.
        """
        if self.files:
            return False
        if not self.starts:
            return name.lower().endswith(self.endings) if self.endings else False
        if not any(head[at : at + len(mark)] == mark for at, mark in self.starts):
            return False
        # One of the same name deeper down is a file that a user put there.
        return not self.members or any(
            "/" not in pattern or pattern.count("/") == one.count("/")
            for pattern in self.members
            for one in members()
            if fnmatchcase(one, pattern)
        )

    def fits_folder(self, files: Collection[str]) -> bool:
        """Whether a folder of these files may be of this format."""
        return bool(self.files) and _any_fits(self.files, files)

    def load(self) -> Callable[..., Any]:
        """Import the reader.

        Raises:
            UnsupportedError: a library that it needs is not installed.
        """
        module, _, name = self.reader.partition(":")
        try:
            reader: Callable[..., Any] = getattr(import_module(module), name)
        except ImportError as error:
            raise missing(self, error) from None
        return reader


def missing(row: Format, error: ImportError) -> UnsupportedError:
    """Make the error for a library that a format needs and that is not installed."""
    extra = f"'weigh[{row.extra}]'" if row.origin == "weigh" else f"'{row.extra or row.origin}'"
    return UnsupportedError(
        f"reading {row.name} needs a library that is not installed",
        seen=str(error),
        do=f"Run: pip install {extra}.",
    )


def _any_fits(patterns: Iterable[str], names: Collection[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns for name in names)


VARIANTS = ("fp16", "bf16", "fp32", "ema", "non_ema")
"""Words in the names of files for the same weights in another type, or from another average."""

WEIGHT_FILES = (
    "*.safetensors.*index.json", "*.safetensors.index.*.json", "*.bin.*index.json",
    "*.bin.index.*.json", "*.msgpack.index.json", "*.safetensors",
    "*.pt", "*.pth", "*.ckpt", "*.bin", "*.gguf", "*.onnx", "*.keras", "*.h5", "*.npz",
    "*.msgpack", "*.jit", "*.pt2",
)  # fmt: skip
"""The names that files of weights have in a model's folder."""

FORMATS: tuple[Format, ...] = (
    Format(
        "safetensors",
        "safetensors: a header of JSON, then the values",
        "weigh._sources.safetensors:read",
        starts=((8, b"{"),),
        endings=(".safetensors",),
    ),
    Format(
        "gguf",
        "GGUF (llama.cpp): a header, then tensors, most of them quantized in blocks",
        "weigh._sources.gguf:read",
        starts=((0, b"GGUF"),),
        endings=(".gguf",),
        extra="gguf",
    ),
    Format(
        "npy",
        "one NumPy array (numpy.save)",
        "weigh._sources.npz:read_npy",
        starts=((0, b"\x93NUMPY"),),
        endings=(".npy",),
    ),
    Format(
        "torchscript",
        "TorchScript (torch.jit.save): a zip of modules, their code and their values",
        "weigh._sources.torchscript:read",
        starts=((0, ZIP),),
        members=("constants.pkl", "*/constants.pkl"),
        endings=(".pt", ".pth", ".jit", ".ptl", ".torchscript"),
    ),
    Format(
        "torch-export",
        "exported program (torch.export.save): a zip of a graph and its weights",
        "weigh._sources.torch_export:read",
        starts=((0, ZIP),),
        members=("archive_format", "*/archive_format", "serialized_exported_program.json"),
        endings=(".pt2",),
    ),
    Format(
        "flax",
        "Flax's variables in MessagePack (flax.serialization.to_bytes)",
        "weigh._sources.flax:read",
        endings=(".msgpack",),
    ),
    Format(
        "keras",
        "Keras model (model.save): a zip of its config and its weights in HDF5",
        "weigh._sources.keras:read",
        starts=((0, ZIP),),
        members=("model.weights.h5",),
        endings=(".keras",),
        extra="keras",
    ),
    Format(
        "hdf5",
        "HDF5: weights of Keras (.weights.h5, .h5), or any arrays",
        "weigh._sources.hdf5:read",
        starts=((0, b"\x89HDF\r\n\x1a\n"),),
        endings=(".h5", ".hdf5"),
        extra="keras",
    ),
    Format(
        "npz",
        "NumPy arrays in a zip archive (numpy.savez)",
        "weigh._sources.npz:read",
        starts=((0, ZIP),),
        members=("*.npy",),
        endings=(".npz",),
    ),
    Format(
        "torch-zip",
        "PyTorch checkpoint (torch.save, since 1.6): a zip around a pickle",
        "weigh._sources.torch_zip:read",
        starts=((0, ZIP), (0, b"PK\x05\x06")),
        endings=(".pt", ".pth", ".bin", ".ckpt"),
    ),
    Format(
        "torch-legacy",
        "PyTorch checkpoint (torch.save, before 1.6): pickles, then the values",
        "weigh._sources.torch_legacy:read",
        starts=(*((0, bytes([0x80, protocol])) for protocol in range(6)), (257, b"ustar")),
        endings=(".pt", ".pth", ".bin"),
    ),
    Format(
        "sharded",
        "weights in several files, and an index of them (Hugging Face)",
        "weigh._sources.sharded:read",
        endings=(".index.json", *(f".index.{one}.json" for one in VARIANTS)),
    ),
    Format(
        "dcp",
        "torch.distributed.checkpoint: a folder of slices of tensors",
        "weigh._sources.dcp:read",
        files=(".metadata",),
    ),
    Format(
        "deepspeed",
        "DeepSpeed checkpoint: a folder of the parts that its processes held",
        "weigh._sources.deepspeed:read",
        files=("*model_states.pt", "zero_to_fp32.py", "latest"),
    ),
    Format(
        "megatron",
        "Megatron checkpoint: a folder of iterations",
        "weigh._sources.megatron:read",
        files=("latest_checkpointed_iteration.txt",),
    ),
    Format(
        "folder",
        "a folder with weights, and perhaps a config.json (Hugging Face)",
        "weigh._sources.model_folder:read",
        files=("model_index.json", *WEIGHT_FILES),
    ),
    Format(
        "onnx",
        "ONNX: graphs of operations, and their tensors (not yet: ONNX Runtime's .ort)",
        "weigh._sources.onnx:read",
        endings=(".onnx", ".ort"),
    ),
)
"""Every format that Weigh itself reads, the more particular before the more general."""


@cache
def added() -> tuple[tuple[Format, ...], tuple[str, ...]]:
    """Give the formats that installed packages add, and what is wrong with those that fail.

    Raises:
        UsageError: two formats have one name.
    """
    return added_to(GROUP, Format, "format", FORMATS)


def every_format() -> tuple[Format, ...]:
    """List all formats: Weigh's own, then those that installed packages add."""
    return (*FORMATS, *added()[0])


def find_format(head: bytes, name: str, members: Callable[[], Collection[str]]) -> Format | None:
    """Find the format of a file; see ``Format.fits``."""
    return _first(lambda row: row.fits(head, name, members))


def find_folder_format(files: Collection[str]) -> Format | None:
    """Find the format of a folder by the names of its files."""
    return _first(lambda row: row.fits_folder(files))


def _first(fits: Callable[[Format], bool]) -> Format | None:
    own = next((row for row in FORMATS if fits(row)), None)
    return own or next((row for row in added()[0] if fits(row)), None)
