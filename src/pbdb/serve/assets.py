"""Styles and scripts by a name that holds their hash, packed once; Vega's script is made once and kept in the cache."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from pbdb.common import output_files
from pbdb.common.errors import ServerError

HERE = Path(__file__).parent
VEGA_LITE = "6.4"
THEME = HERE.parent / "common" / "page" / "theme.css"
# V8 needs much memory and can end its process: it has one of its own.
_MAKE = f"import sys, vl_convert as v; sys.stdout.buffer.write(v.javascript_bundle(vl_version='{VEGA_LITE}').encode())"


class Asset(NamedTuple):
    """A file for browsers: its name with a hash, media type, packed bytes."""

    name: str
    media: str
    packed: bytes


def read(cache: Path) -> dict[str, Asset]:
    """All assets by plain name; cache: a folder for what takes seconds to make.

    Raises:
        ServerError: Vega's script cannot be made.
    """
    styles = THEME.read_bytes() + (HERE / "app.css").read_bytes()
    contents = {"app.css": styles, "app.js": (HERE / "app.js").read_bytes(), "vega.js": _vega(cache)}
    return {name: _asset(name, content) for name, content in contents.items()}


def _asset(name: str, content: bytes) -> Asset:
    stem, suffix = name.split(".")
    media = "text/css; charset=utf-8" if suffix == "css" else "text/javascript; charset=utf-8"
    digest = hashlib.sha256(content).hexdigest()[:12]
    return Asset(f"{stem}.{digest}.{suffix}", media, gzip.compress(content, 9, mtime=0))


def _vega(cache: Path) -> bytes:
    kept = cache / f"vega-{version('vl-convert-python')}-{VEGA_LITE}.js"
    if not kept.is_file():
        done = subprocess.run([sys.executable, "-c", _MAKE], capture_output=True, check=False, timeout=300)
        if done.returncode or not done.stdout:
            raise ServerError("vl-convert-python cannot make the script of Vega-Lite: install pbdb[serve] anew.")
        cache.mkdir(parents=True, exist_ok=True)
        with output_files.replacing(kept, shared=True) as part:
            part.write_bytes(done.stdout)
    return kept.read_bytes()
