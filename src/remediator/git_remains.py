"""Removes from a store what processes left behind that were killed."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

_STALE_SECONDS = 24 * 3600
_REMAINS = ("index-*", "history-*", "fast_import_crash_*", "objects/tmp_obj_*", "objects/obj*", "objects/pack/tmp_*", "objects/pack/.tmp-*")


def sweep(store: Path) -> None:
    """Remove temporary files and folders that are older than a day."""
    before = time.time() - _STALE_SECONDS
    for pattern in _REMAINS:
        for path in store.glob(pattern):
            if path.lstat().st_mtime >= before:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
