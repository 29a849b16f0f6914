"""A scan as a request asks for it, with scanners that are programs and files."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from remediator.app import Remediator
from remediator.cli.sarif_output import to_sarif_text
from remediator.engine.request import FixRequest
from remediator.errors import UsageError
from remediator.settings import load_settings

SCANNER = """
import json, pathlib
found = []
for path in sorted(pathlib.Path().rglob("*.py")):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if "yaml.load" in line:
            region = {"startLine": number, "startColumn": 1}
            place = {"artifactLocation": {"uri": path.as_posix()}, "region": region}
            found.append({"ruleId": "yaml-load", "message": {"text": "m"}, "locations": [{"physicalLocation": place}]})
rules = [{"id": "yaml-load", "properties": {"tags": ["external/cwe/cwe-502"]}}]
print(json.dumps({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "Own", "rules": rules}}, "results": found}]}))
"""


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Remediator]:
    async with Remediator.open(load_settings(state=tmp_path / "state", no_plugins=True)) as opened:
        yield opened


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    (folder / "web").mkdir(parents=True)
    (folder / "conf.py").write_text("import yaml\nyaml.load(x)\n")
    (folder / "web" / "app.py").write_text("yaml.load(y)\n")
    (folder / "web" / "notes.txt").write_text("nothing\n")
    return folder


@pytest.fixture
def playbook(tmp_path: Path) -> str:
    program = tmp_path / "scanner.py"
    program.write_text(SCANNER)
    path = tmp_path / "own.yaml"
    argv = json.dumps([sys.executable, str(program)])
    path.write_text(
        f"name: own\nscan: [{{use: exec, with: {{argv: {argv}, endings: ['.py']}}}}]\nverify: [{{use: applies}}]\nsandbox: {{use: none}}\n"
    )
    return str(path)


async def test_a_report_of_what_we_see_ourselves_is_not_counted_twice(app, shop: Path, playbook: str, tmp_path: Path) -> None:
    request = FixRequest(target=str(shop), playbook=playbook)
    once = await app.scan(request)
    (tmp_path / "out.sarif").write_text(to_sarif_text(once))
    twice = await app.scan(request.model_copy(update={"sarif": (tmp_path / "out.sarif",)}))
    assert once.scan.findings and twice.scan.findings == once.scan.findings
    log = (tmp_path / "out.sarif").read_text().replace('"name": "Own"', '"name": "Theirs"')
    (tmp_path / "out.sarif").write_text(log)
    others = await app.scan(request.model_copy(update={"sarif": (tmp_path / "out.sarif",)}))
    assert len(others.scan.findings) == 2 * len(once.scan.findings)


@pytest.mark.parametrize("verb", ["scan", "fix"])
async def test_a_folder_in_which_nothing_was_read_is_not_clean(app, shop: Path, playbook: str, verb: str) -> None:
    clean = FixRequest(target=str(shop), playbook=playbook, only=("no-such-rule",))
    (shop / "conf.py").write_text("x = 1\n")
    (shop / "web" / "app.py").write_text("y = 1\n")
    assert (await getattr(app, verb)(clean)).could_not_check == ()
    for name in ("conf.py", "web/app.py"):
        (shop / name).unlink()
    (told,) = (await getattr(app, verb)(clean)).could_not_check
    assert "nothing was read" in told


async def test_what_was_not_asked_for_is_in_no_output_of_a_run(app, shop: Path, playbook: str) -> None:
    report = await app.fix(FixRequest(target=str(shop), playbook=playbook, paths=("conf.py",)))
    assert [finding.path for finding in report.scan.findings] == [case.finding.path for case in report.cases] == ["conf.py"]
    assert report.left_out == 1


@pytest.mark.parametrize(("given", "left"), [("./web/app.py", 1), ("web/", 1), ("web/../conf.py", 1), (".", 2)])
async def test_a_path_is_the_same_however_it_is_written(app, shop: Path, playbook: str, given: str, left: int) -> None:
    report = await app.scan(FixRequest(target=str(shop), playbook=playbook, paths=(given,)))
    assert (len(report.scan.findings), report.could_not_check) == (left, ())


@pytest.mark.parametrize("verb", ["scan", "fix"])
@pytest.mark.parametrize("given", ["shop/web/app.py", "we", "../shop"])
async def test_a_path_that_the_target_does_not_have_is_named(app, shop: Path, playbook: str, verb: str, given: str) -> None:
    with pytest.raises(UsageError, match=f"--path {given}: "):
        await getattr(app, verb)(FixRequest(target=str(shop), playbook=playbook, paths=("web", given)))


async def test_a_patch_is_rescanned_by_who_found_the_flaw_whatever_was_imported(app, shop: Path, playbook: str, tmp_path: Path) -> None:
    text = Path(playbook).read_text().replace("[{use: applies}]", "[{use: applies}, {use: rescan}]")
    Path(playbook).write_text(text)
    request = FixRequest(target=str(shop), playbook=playbook)
    log = to_sarif_text(await app.scan(request)).replace('"name": "Own"', '"name": "Theirs"').replace('"yaml-load"', '"their-rule"')
    (tmp_path / "theirs.sarif").write_text(log)
    both = request.model_copy(update={"sarif": (tmp_path / "theirs.sarif",)})
    diff = "--- a/conf.py\n+++ b/conf.py\n@@ -1,2 +1,2 @@\n import yaml\n-yaml.load(x)\n+yaml.safe_load(x)\n"
    for rule in ("yaml-load", "their-rule"):
        (finding,) = [item for item in (await app.scan(both)).scan.findings if item.rule_id == rule and item.path == "conf.py"]
        verdict, _ = await app.verify(str(shop), diff, finding, request=both)
        assert {check.name: check.status for check in verdict.checks}["rescan"] == "passed", rule
