"""What rules look at: a network, the tables of its values, and the live module if there is one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from weigh._measures.statistics import Statistics
from weigh._model import Layer, Network, Tensor

if TYPE_CHECKING:
    import numpy as np

    from weigh._measures._kernels import ChannelSums
    from weigh._measures.measured import Measured
    from weigh._measures.table import Table


class Subject:
    """A network under examination.

    Attributes:
        network: the network.
        tensors: what is looked at, tied ones once.
        module: the live ``torch.nn.Module``, or None.
        optimizer: its optimizer, or None.
        loss: a tensor that the module computed, with the graph of how, or None.
    """

    def __init__(
        self,
        network: Network,
        tensors: Sequence[Tensor],
        *,
        module: Any = None,
        optimizer: Any = None,
        loss: Any = None,
    ) -> None:
        self.network = network
        self.module, self.optimizer, self.loss = module, optimizer, loss
        self.tensors = [tensor for tensor in tensors if tensor.tied_to is None]
        self._measured: dict[str, Measured] = {}
        self._statistics: dict[str, Statistics] = {}
        self._layers: dict[str, Layer] | None = None

    @property
    def parameters(self) -> list[Tensor]:
        """The parameters among the tensors."""
        return [tensor for tensor in self.tensors if tensor.role == "parameter"]

    @property
    def buffers(self) -> list[Tensor]:
        """The buffers among the tensors."""
        return [tensor for tensor in self.tensors if tensor.role == "buffer"]

    @property
    def layers(self) -> Mapping[str, Layer]:
        """Every layer by its path, in the network's order."""
        if self._layers is None:
            self._layers = dict(self.network.named_modules(remove_duplicate=False))
        return self._layers

    def layer_of(self, tensor: Tensor) -> Layer | None:
        """Give the layer that holds a tensor."""
        return self.layers.get(tensor.layer)

    def in_layers(self) -> Iterator[tuple[Layer, dict[str, Tensor]]]:
        """Go through the layers that hold tensors under examination, with these by own name."""
        mine = {tensor.name for tensor in self.tensors}
        for path, layer in self.layers.items():
            start = len(path) + 1 if path else 0
            own = {t.name[start:]: t for t in layer._tensors.values() if t.name in mine}
            if own:
                yield layer, own

    def put(self, measured: Measured) -> None:
        """Take what was measured of a tensor."""
        self._measured[measured.tensor.name] = measured

    @property
    def measured(self) -> Mapping[str, Measured]:
        """What was measured, by the names of the tensors."""
        return self._measured

    def problem(self, tensor: Tensor) -> str:
        """Say why the values of a tensor cannot be had; "" if they can."""
        measured = self._measured.get(tensor.name)
        return "its values were not read" if measured is None else measured.problem

    def table(self, tensor: Tensor) -> Table | None:
        """Give the table of a tensor's values; None if they cannot be had."""
        measured = self._measured.get(tensor.name)
        return None if measured is None else measured.table

    def statistics(self, tensor: Tensor) -> Statistics | None:
        """Give the statistics of a tensor's values; None if they cannot be had."""
        found = self._statistics.get(tensor.name)
        if found is None:
            measured = self._measured.get(tensor.name)
            found = None if measured is None else measured.statistics()
            if found is not None:
                self._statistics[tensor.name] = found
        return found

    def squares(self, tensor: Tensor) -> np.ndarray[Any, Any] | None:
        """Give the sum of squares of each output channel, each row of a look-up table.

        None if there are no such channels, or the values cannot be had. A channel with NaN or an
        infinity in it has one of them for its sum.
        """
        sums = self._sums(tensor)
        if sums is None:
            return None
        from weigh._measures.channels import array_of

        return array_of(sums)

    def alike(self, tensor: Tensor, near: float) -> list[list[int]]:
        """Give groups of channels whose sums differ by no more than a share of them."""
        sums = self._sums(tensor)
        return [] if sums is None else sums.alike(near)

    def spread(self, tensor: Tensor) -> tuple[float, float] | None:
        """Give the least and the largest of these sums; (0, infinity) if one is not finite.

        NumPy is not needed for that: most tensors are told to be healthy by it.
        """
        sums = self._sums(tensor)
        return None if sums is None else sums.spread()

    def _sums(self, tensor: Tensor) -> ChannelSums | None:
        measured = self._measured.get(tensor.name)
        return None if measured is None else measured.squares
