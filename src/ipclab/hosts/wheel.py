"""This copy of ipclab as one file, to be copied to a machine that lacks it."""

from __future__ import annotations

import zipfile
from pathlib import Path

from ipclab import __version__


def build(folder: Path) -> Path:
    """Write the package, as it is here, into a file in this folder and return its path.

    It has the content of a wheel of this version, also where ipclab is installed in editable mode. Its
    dependencies are not in it.
    """
    package = Path(__file__).parents[1]
    path = folder / f"ipclab-{__version__}-py3-none-any.whl"
    info = f"ipclab-{__version__}.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(package.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                archive.write(file, (Path("ipclab") / file.relative_to(package)).as_posix())
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: ipclab\nVersion: {__version__}\n")
        archive.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: ipclab\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(f"{info}/RECORD", "")
    return path
