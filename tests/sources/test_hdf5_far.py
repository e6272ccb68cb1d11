"""HDF5 on a web server: its library asks for little and often, the server is asked seldom."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from numpy.testing import assert_array_equal

import weigh
from servers import web_server


def test_few_requests_list_a_file_of_many_arrays(tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((20, 40)).astype("f4")
    with h5py.File(tmp_path / "w.h5", "w") as file:
        for i in range(40):
            file.create_dataset(f"layer{i}/w", data=values + i)
    with web_server() as web:
        web.files["/w.h5"] = (tmp_path / "w.h5").read_bytes()
        net = weigh.open(f"{web.url}/w.h5")
        assert len(net.tensors()) == 40
        assert len(web.asked) <= 4
        assert_array_equal(net["layer7.w"].read(), values + 7)
