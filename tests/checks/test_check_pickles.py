"""What a file names that a loader would run: told from the names alone, and nothing runs."""

from __future__ import annotations

import argparse
import functools
import io
import os
import pathlib
import pickle
import subprocess
import zipfile
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch
import torch._weights_only_unpickler as safe_globals
from hypothesis import given
from hypothesis import strategies as st

import weigh
from weigh._checks.pickled_names import danger_of

RULE = ["executable-pickle"]
MARK = "/tmp/weigh-ran-what-a-pickle-said"
RUN = f"S'touch {MARK}'\n".encode()
TEXT = b"\x8c" + bytes([len(MARK) + 6]) + f"touch {MARK}".encode()

EVIL = {
    "global": b"cposix\nsystem\n(" + RUN + b"tR0",
    "python 2": b"c__builtin__\neval\n(" + RUN + b"tR0",
    "instance": b"(" + RUN + b"iposix\nsystem\n0",
    "object": b"(cposix\nsystem\n" + RUN + b"o0",
    "stack": b"\x8c\x05posix\x8c\x06system\x93" + TEXT + b"\x85R0",
    "memo": b"\x8c\x05posixr\x00\x00\x10\x000\x8c\x06systemr\x01\x00\x10\x000"
    b"j\x00\x00\x10\x00j\x01\x00\x10\x00\x93" + TEXT + b"\x85R0",
    "new": b"csubprocess\nPopen\n(" + RUN + b"t\x810",
    "new with keywords": b"csubprocess\nPopen\n(" + RUN + b"t}\x920",
    "never called": b"cos\nsystem\n0",
    "dotted": b"\x8c\x13torch.serialization\x8c\x09os.system\x93" + TEXT + b"\x85R0",
    "nested": b"ctorch._utils\n_rebuild_tensor_v2\n(cposix\nsystem\n(" + RUN + b"tRtR0",
    "state": b"cargparse\nNamespace\n)\x81}X\x01\x00\x00\x00acposix\nsystem\n(" + RUN + b"tRsb0",
}  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_ran() -> Any:
    pathlib.Path(MARK).unlink(missing_ok=True)
    yield
    assert not pathlib.Path(MARK).exists()


def saved(thing: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(thing, file, **options)
    return file.getvalue()


def injected(raw: bytes, code: bytes) -> bytes:
    """Put instructions at the start of the pickle in a file of ``torch.save``."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith("data.pkl"):
                data = data[:2] + code + data[2:]
            new.writestr(name, data)
    return made.getvalue()


def found(path: pathlib.Path, data: bytes) -> list[Any]:
    path.write_bytes(data)
    return list(weigh.check(path, select=RULE))


def state() -> dict[str, torch.Tensor]:
    return {"fc.weight": torch.ones(2, 3)}


@pytest.mark.parametrize("name", EVIL)
def test_code_in_a_zip(name: str, tmp_path: pathlib.Path) -> None:
    worst, *_ = found(tmp_path / "a.pt", injected(saved(state()), EVIL[name]))
    assert (worst.rule, worst.severity, worst.where) == ("executable-pickle", "error", "")
    assert all(danger_of(one) == "harmful" for one in worst.evidence["names"])
    assert worst.evidence["files"] == ["a.pt"] * worst.evidence["count"]
    assert worst.evidence["names"][0] in worst.message


@pytest.mark.parametrize("at", range(5))
def test_code_in_any_pickle_of_the_old_format(at: int, tmp_path: pathlib.Path) -> None:
    raw = saved(state(), _use_new_zipfile_serialization=False)
    file = io.BytesIO(raw)
    starts = []
    for _ in range(5):  # the magic number, the protocol, the system, what is saved, the keys
        starts.append(file.tell())
        _skip(file)
    start = starts[at]
    assert raw[start] == 0x80
    evil = raw[: start + 2] + EVIL["global"] + raw[start + 2 :]
    (worst,) = found(tmp_path / "a.pt", evil)
    assert (worst.severity, worst.evidence["names"]) == ("error", ["posix.system"])


def _skip(file: io.BytesIO) -> None:
    import pickletools

    for operation, _, _ in pickletools.genops(file):
        if operation.name == "STOP":
            return


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize("old", [True, False])
def test_every_protocol_that_torch_writes(protocol: int, old: bool, tmp_path: pathlib.Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {MARK}",)

    raw = saved(
        state() | {"note": Evil()},
        pickle_protocol=protocol,
        _use_new_zipfile_serialization=not old,
    )
    (worst,) = found(tmp_path / "a.pt", raw)
    assert (worst.severity, worst.evidence["names"]) == ("error", ["posix.system"])


@pytest.mark.parametrize("old", [True, False])
def test_healthy_files_have_no_finding(old: bool, tmp_path: pathlib.Path) -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)).bfloat16()
    optimizer = torch.optim.AdamW(net.parameters())
    net(torch.ones(2, 3, 8, 8, dtype=torch.bfloat16)).float().sum().backward()
    optimizer.step()
    raw = saved(
        {
            "model": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3,
            "device": torch.device("cpu"), "sizes": torch.Size([1]), "seen": {1, 2},
            "mean": np.float64(0.5), "array": np.ones(3), "order": OrderedDict(a=1),
            "type": torch.float16,
        },
        _use_new_zipfile_serialization=not old,
    )  # fmt: skip
    assert found(tmp_path / "a.pt", raw) == []


def test_a_live_module_has_no_file() -> None:
    report = weigh.check(torch.nn.Linear(2, 2), select=RULE)
    assert report.findings == ()
    assert report.rules == ()


def test_whole_modules_of_torch_alone_are_worth_knowing(tmp_path: pathlib.Path) -> None:
    raw = saved(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU()))
    (one,) = found(tmp_path / "a.pt", raw)
    assert one.severity == "info"
    assert set(one.evidence["names"]) == {
        "torch.nn.modules.activation.ReLU",
        "torch.nn.modules.container.Sequential",
        "torch.nn.modules.linear.Linear",
    }


class Mine(torch.nn.Linear):
    """A class that no loader elsewhere has."""


def test_classes_of_others_are_a_warning(tmp_path: pathlib.Path) -> None:
    (one,) = found(tmp_path / "a.pt", saved(Mine(2, 2)))
    assert (one.severity, one.evidence["names"]) == ("warning", [f"{Mine.__module__}.Mine"])


def test_plain_data_and_partial_calls(tmp_path: pathlib.Path) -> None:
    args = argparse.Namespace(out=pathlib.PurePosixPath("a"))
    (one,) = found(tmp_path / "a.pt", saved({"model": state(), "args": args}))
    assert (one.severity, one.evidence["names"]) == ("info", ["argparse.Namespace"])
    call = functools.partial(torch.nn.LayerNorm, eps=1e-6)
    rows = found(tmp_path / "a.pt", saved({"model": state(), "norm": call}))
    assert [row.severity for row in rows] == ["warning", "info"]
    evil = functools.partial(subprocess.call, "true")
    rows = found(tmp_path / "a.pt", saved({"model": state(), "norm": evil}))
    assert [row.severity for row in rows] == ["error", "warning"]


def test_what_torch_takes_by_default_is_harmless() -> None:
    names = {*safe_globals._get_allowed_globals(), *safe_globals._get_user_allowed_globals()}
    assert len(names) > 100
    assert [name for name in names if danger_of(name) != "harmless"] == []


HARMFUL_NAMES = """
numpy.__builtins__ numpy.core._internal.sys.modules numpy.prod.os.system builtins.dict.get
pkgutil.resolve_name numpy.ctypeslib.load_library
torch.utils.data.datapipes.utils.decoder.basichandlers test.support.script_helper.assert_python_ok
uuid._get_command_stdout typing.get_type_hints sympy.sympify pandas.core.frame.DataFrame.query
os.system posix.execv nt.system subprocess.Popen subprocess.check_output builtins.eval
builtins.exec builtins.compile builtins.open builtins.getattr builtins.__import__
__builtin__.execfile builtins.map builtins.setattr builtins.globals builtins.breakpoint
importlib.import_module runpy.run_path runpy._run_code shutil.rmtree socket.create_connection
ctypes.CDLL pickle.loads _pickle.load marshal.loads code.InteractiveInterpreter webbrowser.open
pty.spawn sys.exit asyncio.unix_events._UnixSubprocessTransport._start torch.hub.load torch.load
torch.serialization.load torch.storage._load_from_bytes numpy.load
numpy.testing._private.utils.runstring operator.attrgetter operator.methodcaller functools.reduce
timeit.timeit pdb.run bdb.Bdb.run pip.main pydoc.pipepager urllib.request.urlopen requests.get
httplib.HTTPConnection types.FunctionType types.CodeType dill._dill._create_code
cloudpickle.cloudpickle._make_function torch.jit.unsupported_tensor_ops.execWrapper
torch._dynamo.guards.GuardBuilder.get torch.utils.bottleneck.__main__.run_cprofile
torch.utils._config_module.load_config torch.fx.graph_module.reduce_graph_module
logging.config.listen multiprocessing.util.spawnv_passfds pandas.read_pickle joblib.load
pathlib.Path.write_text commands.getoutput torch.nn.modules.module.os.system
collections.OrderedDict.__class__.__base__.__subclasses__
torch._utils._rebuild_tensor.__globals__.get argparse._os.system
torch.nn.modules.module.torch.load datetime.sys.exit decimal.__builtins__.eval
"""
HARMFUL = HARMFUL_NAMES.split()


@pytest.mark.parametrize("name", HARMFUL)
def test_names_that_do_harm(name: str) -> None:
    assert danger_of(name) == "harmful"


FOREIGN_NAMES = """
__main__.Net mylib.models.Net torchvision.models.resnet.ResNet mylib.modules.os
timm.layers.norm.LayerNorm2d transformers.training_args.TrainingArguments mylib.code.Net
mylib.io.Reader functools.partial torch.utils.data.dataset.Subset omegaconf.dictconfig.DictConfig
enum.EnumMeta
"""
FOREIGN = FOREIGN_NAMES.split()


@pytest.mark.parametrize("name", FOREIGN)
def test_names_that_nobody_knows(name: str) -> None:
    assert danger_of(name) == "foreign"


REFUSED_NAMES = """
argparse.Namespace torch.nn.modules.conv.Conv2d torch.optim.adam.Adam datetime.datetime
torch.nn.parallel.data_parallel.DataParallel torch.nn.functional.relu
torch.optim.lr_scheduler.StepLR numpy.random._pickle.__randomstate_ctor
torch.ao.nn.quantized.modules.linear.Linear io.BytesIO types.SimpleNamespace
"""
REFUSED = REFUSED_NAMES.split()


@pytest.mark.parametrize("name", REFUSED)
def test_names_that_the_safe_loader_refuses(name: str) -> None:
    assert danger_of(name) == "refused"


@given(st.text("abzABZ_.", min_size=1, max_size=30), st.sampled_from(HARMFUL))
def test_no_prefix_hides_a_command(start: str, name: str) -> None:
    danger_of(start)
    assert danger_of(f"{start}.os.system") in ("harmful", "harmless")
    if not start.startswith("__torch__"):
        assert danger_of(f"{start}.os.system") == "harmful"
    assert danger_of(f"{name}.{start}") == "harmful"


def test_many_names_are_counted_and_the_worst_is_not_lost(tmp_path: pathlib.Path) -> None:
    many = b"".join(f"cposix\na{i:05}\n0".encode() for i in range(2000))
    (one,) = found(tmp_path / "a.pt", injected(saved(state()), many + EVIL["global"]))
    assert one.evidence["count"] == 2001
    assert len(one.evidence["names"]) == 50
    assert "1,998 more" in one.message
    strange = b"\x8c\x02os\x8c\x05a\x1b[1m\x930"
    (one,) = found(tmp_path / "b.pt", injected(saved(state()), strange))
    assert "\x1b" not in one.message


def test_files_of_a_set_and_parts_of_an_archive(tmp_path: pathlib.Path) -> None:
    names = ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"]
    (tmp_path / names[0]).write_bytes(saved({"a.weight": torch.ones(2)}))
    evil = injected(saved({"b.weight": torch.ones(2)}), EVIL["stack"])
    (tmp_path / names[1]).write_bytes(evil)
    (one,) = weigh.check(tmp_path, select=RULE)
    assert one.evidence == {"count": 1, "names": ["posix.system"], "files": [names[1]]}


@pytest.mark.filterwarnings("ignore")
def test_scripts_and_exported_programs_are_healthy(tmp_path: pathlib.Path) -> None:
    net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.LSTM(2, 2))
    torch.jit.save(torch.jit.script(net), tmp_path / "a.pt")
    assert weigh.open(tmp_path / "a.pt").imports
    assert weigh.check(tmp_path / "a.pt", select=RULE).findings == ()
    program = torch.export.export(torch.nn.Linear(2, 2), (torch.ones(1, 2),))
    torch.export.save(program, tmp_path / "a.pt2")
    assert weigh.check(tmp_path / "a.pt2", select=RULE).findings == ()


@pytest.mark.filterwarnings("ignore")
def test_distributed_checkpoints(tmp_path: pathlib.Path) -> None:
    import torch.distributed.checkpoint as dcp

    dcp.save({"model": state(), "epoch": 3}, checkpoint_id=tmp_path, no_dist=True)
    assert weigh.check(tmp_path, select=RULE).findings == ()
    data = (tmp_path / ".metadata").read_bytes()
    head = 2 if data[2] != 0x95 else 11  # a frame would end elsewhere, which no reader minds
    (tmp_path / ".metadata").write_bytes(data[:head] + EVIL["stack"] + data[head:])
    (one,) = weigh.check(tmp_path, select=RULE)
    assert (one.severity, one.evidence["files"]) == ("error", [".metadata"])


@pytest.mark.parametrize("old", [True, False])
def test_a_file_that_cannot_be_opened_says_what_it_names(old: bool, tmp_path: pathlib.Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {MARK}",)

    path = tmp_path / "a.pt"
    path.write_bytes(saved({"a": Evil()}, _use_new_zipfile_serialization=not old))
    with pytest.raises(weigh.WeighError, match=r"naming posix\.system"):
        weigh.check(path, select=RULE)
    path.write_bytes(pickle.dumps([Evil(), 1]))
    with pytest.raises(weigh.WeighError, match=r"not executed.*naming posix\.system"):
        weigh.check(path, select=RULE)
