"""Which names in a pickle are harmless to load, and which do harm.

The harmless ones are those that ``torch.load(weights_only=True)`` takes by default
(https://docs.pytorch.org/docs/stable/notes/serialization.html), and makers of plain values. What
does harm is named by module, as a whole or function by function.
"""

from __future__ import annotations

import re
from typing import Literal

Danger = Literal["harmful", "foreign", "refused", "harmless"]
"""What a name is to a loader that runs pickles: code that runs commands, reaches files or the
network, or gets at any other code; code that nobody here knows; PyTorch's own layers and plain
data, which only such a loader takes; nothing to mind."""

_TYPES = "BFloat16|Bool|Byte|Char|ComplexDouble|ComplexFloat|Double|Float|Half|Int|Long|Short"
_HARMLESS = re.compile(
    rf"torch\.(?:cuda\.)?(?:sparse\.)?(?:{_TYPES})(?:Storage|Tensor)"
    r"|torch\.(?:QInt(?:8|32)|QUInt(?:8|2x4|4x2))Storage"
    r"|torch\.(?:storage\.)?_?(?:Typed|Untyped)Storage"
    r"|torch\.(?:Tensor|Size|device|nn\.parameter\.\w*(?:Parameter|Buffer))"
    r"|torch\._utils\._rebuild_[a-z_0-9]+"
    r"|torch\._tensor\._rebuild_from_type_v2|torch\.serialization\._get_layout"
    r"|torch\.nested\._internal\.nested_tensor\.(?:NestedTensor|_rebuild_njt)"
    r"|torch\.distributed\.checkpoint\.(?:metadata\.\w+|filesystem\._Storage\w+)"
    r"|pathlib(?:\._local)?\.(?:Pure)?(?:Posix|Windows)?Path"
    r"|torch\.distributed\.tensor\.(?:placement_types\.|_dtensor_spec\.|_api\.)?_?[A-Z]\w*"
    r"|torch\.distributed\.device_mesh\._?[A-Z]\w*|torch\._dynamo\.decorators\._DimRange"
    r"|torch\.distributed\._mesh_layout\.(?:_MeshLayout|_FlatLayout)"
    r"|torch\.(?:q?u?int\d+(?:x\d+)?|bool|bits\d+(?:x\d+)?|complex\d+|bfloat16|float\d+(?:_\w+)?"
    r"|strided|sparse_(?:coo|csr|csc|bsr|bsc)|per_(?:tensor|channel)_\w+"
    r"|(?:contiguous|preserve)_format|channels_last(?:_3d)?)"
    r"|__torch__\..*|torch\.jit\._pickle\.\w+"  # what TorchScript's own reader makes
    r"|collections\.(?:OrderedDict|Counter|defaultdict|deque)|_codecs\.encode"
    r"|(?:builtins|__builtin__)\.(?:set|frozenset|dict|list|tuple|int|float|bool|str|bytes|slice"
    r"|bytearray|complex|object|x?range|long|unicode|NoneType|[A-Z]\w+(?:Error|Exception|Warning))"
    r"|numpy\.(?:core|_core)\.(?:multiarray\.(?:_reconstruct|scalar)|numeric\._frombuffer)"
    r"|numpy\.(?:ndarray|dtype|dtypes\.\w+DType|bool_?|u?int\d+|float\d+|complex\d+)"
    r"|(?:copyreg|copy_reg)\.(?:_reconstructor|__newobj__)"
)
"""``copyreg._reconstructor`` makes an object of a class that is named, and judged, beside it."""

_REFUSED = re.compile(
    r"argparse\.Namespace|types\.(?:SimpleNamespace|MappingProxyType)|fractions\.Fraction"
    r"|datetime\.[a-z]+|decimal\.Decimal|uuid\.(?:UUID|SafeUUID)|_?io\.(?:BytesIO|StringIO)"
    r"|logging\.getLogger"
    r"|torch\.(?:Generator|layout|memory_format|dtype|finfo|iinfo|ScriptObject)"
    r"|numpy\.random\._\w+\.\w+|numpy\.random\.(?:mtrand\.)?RandomState"
    r"|torch\.optim\.(?:\w+\.)*[A-Z]\w*"
    r"|torch\.(?:nn|quantization|ao)\.(?:\w+\.)*[A-Z]\w*"
    r"|torch\.nn\.(?:functional|init)\.\w+|torch\._C\._nn\.\w+"
)

_HARM = """
    os posix nt posixpath ntpath subprocess _posixsubprocess commands popen2 pty tty sys sysconfig
    site platform importlib imp zipimport pkgutil runpy code codeop marshal pickle _pickle cPickle
    dill cloudpickle jsonpickle shelve shutil tempfile glob fileinput pathlib io _io mmap fcntl
    socket _socket socketserver SocketServer asyncio ssl _ssl http httplib urllib urllib2 urllib3
    requests httpx aiohttp ftplib smtplib poplib imaplib telnetlib nntplib xmlrpc xmlrpclib
    webbrowser antigravity ctypes _ctypes cffi _cffi_backend signal multiprocessing
    _multiprocessing pdb bdb cmd trace timeit cProfile profile pstats doctest pydoc inspect gc dis
    types operator _operator functools _functools atexit ensurepip pip setuptools distutils venv
    idlelib lib2to3 sqlite3 dbm winreg _winreg msvcrt _winapi unittest pytest _pyrepl _aix_support
    _osx_support nturl2path _xxsubinterpreters _interpreters pexpect paramiko fabric plumbum
    yaml tarfile zipfile linecache threading _thread sched concurrent
    gzip.open bz2.open lzma.open codecs.open joblib.load logging.config logging.FileHandler
    copyreg.add_extension copyreg.pickle copy_reg.add_extension copy_reg.pickle
    numpy.testing numpy.f2py numpy.distutils numpy.load numpy.save numpy.savez numpy.savetxt
    numpy.loadtxt numpy.genfromtxt numpy.fromfile numpy.memmap numpy.lib.npyio numpy.vectorize
    numpy.frompyfunc numpy.apply_along_axis numpy.apply_over_axes numpy.fromfunction
    pandas.read_pickle pandas.eval pandas.io pandas.core.computation
    torch.load torch.save torch.hub torch.serialization torch.jit torch.compile torch.package
    torch._dynamo torch._inductor torch.fx torch.utils torch.multiprocessing torch.classes
    torch.ops torch.onnx torch.testing torch.distributed.rpc torch.storage._load_from_bytes
    torch.cuda.jiterator torch.distributed.nn.jit
    test cgi cgitb smtpd mailcap pkg_resources IPython ipykernel numexpr
    uuid._get_command_stdout typing.get_type_hints typing.ForwardRef gettext.c2py
    dataclasses.make_dataclass keras.models.load_model tensorflow.io numpy.ctypeslib
    tensorflow.keras.models.load_model
    sympy.sympify sympy.core.sympify sympy.parsing
    pandas.core.frame.DataFrame.eval pandas.core.frame.DataFrame.query
    pandas.core.frame.DataFrame.to_pickle pandas.core.frame.DataFrame.to_csv
"""
_HARMFUL = frozenset(_HARM.split())
"""Modules all of whose functions are held to do harm, and single functions of others."""
_LONGEST = max(name.count(".") + 1 for name in _HARMFUL)
_NOT_ALL = re.compile(
    r"torch\.utils\.data\.(?:dataset|sampler|dataloader|distributed)\.[A-Z]\w*|functools\.partial"
)
"""Code of unknown effect in such a module. A partial call runs nothing by itself, and what it would
call is named, and judged, beside it; many networks keep one for their kind of norm."""

_REACHES = (
    "os posix nt sys subprocess builtins importlib ctypes socket shutil runpy pickle marshal "
    "functools operator torch"
)
_REACHED = frozenset(_REACHES.split())
"""Modules that other modules import: ``torch.serialization.os.system`` is ``os.system``."""
_BUILTINS = ("builtins", "__builtin__", "__builtins__")


def danger_of(name: str) -> Danger:
    """Say what a name is to a loader that runs pickles.

    Args:
        name: the full name of a function or class.

    Examples:
        >>> danger_of("posix.system"), danger_of("collections.OrderedDict")
        ('harmful', 'harmless')
        >>> danger_of("torch.nn.modules.conv.Conv2d"), danger_of("mylib.Net")
        ('refused', 'foreign')
        >>> danger_of("torch.nn.modules.module.os.system")
        'harmful'
    """
    if _HARMLESS.fullmatch(name):
        return "harmless"
    parts = name.split(".")
    if any(_leads_away(parts, at) for at in range(1, len(parts))):
        return "harmful"
    if _REFUSED.fullmatch(name):
        return "refused"
    if _NOT_ALL.fullmatch(name):
        return "foreign"
    return "harmful" if _does_harm(parts) else "foreign"


def _leads_away(parts: list[str], at: int) -> bool:
    """Whether a name leads, at one of its parts, to what a module imports, or to its insides."""
    part = parts[at]
    if part.startswith("__") and part.endswith("__"):  # __globals__, __subclasses__...
        return True
    plain = part if part == "_pickle" else part.lstrip("_")  # as modules hide what they import
    if plain not in _REACHED or at + 1 == len(parts):
        return False
    return _does_harm([plain, *parts[at + 1 : at + _LONGEST]])


def _does_harm(parts: list[str]) -> bool:
    if parts[0] in _BUILTINS:
        return True  # the harmless ones were told before
    starts = (".".join(parts[:count]) for count in range(1, min(len(parts), _LONGEST) + 1))
    return any(start in _HARMFUL for start in starts)
