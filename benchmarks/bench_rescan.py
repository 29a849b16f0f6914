"""The re-scan of one changed file against the full scan of the same tree."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from remediator.app import Remediator
from remediator.engine.request import FixRequest
from remediator.engine.run import project_of
from remediator.settings import load_settings

FILES = 300


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        tree.mkdir()
        for number in range(FILES):
            (tree / f"m{number}.py").write_text(f"import yaml\n\n\ndef f{number}(text):\n    return yaml.load(text)\n" * 20)
        settings = load_settings(state=Path(folder) / "state")
        async with Remediator.open(settings) as remediator:
            playbook = remediator.playbook_for(FixRequest(target=str(tree)))
            async with project_of(str(tree), None, playbook, remediator.registry, settings, lambda *_, **__: None) as project:
                full, found = await timed(project.scan(project.base))
                one, again = await timed(project.scan(project.base, ("m0.py",)))
    assert {f.path for f in again.findings} == {"m0.py"} and len(found.findings) > len(again.findings)
    print(f"re-scan: full {full:.2f} s ({FILES} files), one file {one:.2f} s, ratio {one / full:.3f}")


async def timed(scan):
    began = time.perf_counter()
    report = await scan
    return time.perf_counter() - began, report


if __name__ == "__main__":
    asyncio.run(main())
