"""The promise, on real input: found, fixed, proven at E3, handed over, replayed; and what must not pass does not."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = str(Path(sys.executable).parent / "remediator")

pytestmark = [pytest.mark.docker, pytest.mark.network, pytest.mark.slow]
TARGET = "pypi:pyanyapi==0.6.0"
FILE = "pyanyapi/interfaces.py"
HEAD = f"diff --git a/{FILE} b/{FILE}\n--- a/{FILE}\n+++ b/{FILE}\n"
CONTEXT = (
    "     def perform_parsing(self):\n         try:\n",
    "         except yaml.error.YAMLError:\n             raise ResponseParseError(self._error_message, self.content)\n",
)
CALL = "            return yaml.load(self.content)\n"


def hunk(*lines: str) -> str:
    """Return a diff of the one vulnerable line and its neighbours."""
    body = CONTEXT[0] + "".join(lines) + CONTEXT[1]
    old = sum(line[0] in " -" for line in body.splitlines())
    new = sum(line[0] in " +" for line in body.splitlines())
    return f"{HEAD}@@ -275,{old} +275,{new} @@ class YAMLInterface(DictInterface):\n{body}"


def added(path: str, text: str, mode: str = "100644") -> str:
    lines = text.splitlines()
    head = f"diff --git a/{path} b/{path}\nnew file mode {mode}\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1,{len(lines)} @@\n"
    return head + "".join(f"+{line}\n" for line in lines)


RIGHT = hunk("-" + CALL, "+            return yaml.safe_load(self.content)\n")
WRONG = {
    "feature-deleted": hunk("-" + CALL, "+            return None\n"),
    "swallow-all": hunk(
        "-" + CALL,
        "+            try:\n",
        "+                return yaml.safe_load(self.content)\n",
        "+            except Exception:\n",
        "+                return {}\n",
    ),
    "suppression-added": hunk("-" + CALL, "+            return yaml.load(self.content)  # nosec\n"),
    "suppression-added/nosemgrep": hunk("-" + CALL, "+            return yaml.load(self.content)  # nosemgrep\n"),
    "test-edit": RIGHT + added("tests/test_more.py", "def test_nothing():\n    pass\n"),
    "test-edit/conftest": RIGHT + added("conftest.py", "import os\n"),
    "ci-edit": RIGHT + added(".github/workflows/ci.yml", "on: push\n"),
    "finding-remains": hunk("-" + CALL, "+            content = self.content\n", "+            return yaml.load(content)\n"),
}


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("patches")


def test_the_published_package_ends_verified_at_e3(fixed) -> None:
    (case,) = fixed["cases"]
    assert (case["level"], case["reason"], case["finding"]["cwe"]) == ("E3", "fixed", [502])
    assert [check["status"] for check in case["verdicts"][-1]["checks"]] == ["passed"] * 5 + ["not_run"] * 5


def test_the_bundle_replays(cli, fixed) -> None:
    done = cli("replay", fixed["cases"][0]["bundle_path"], "--json")
    assert done.code == 0, done.err
    assert done.json["outcome"] == "agreed"


@pytest.mark.parametrize("name", ["patch.diff", "verdict.json", "finding.json", "playbook.yaml", "base.tar.zst", "MANIFEST.json"])
def test_one_changed_byte_is_named(cli, fixed, tmp_path: Path, name: str) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(fixed["cases"][0]["bundle_path"], bundle)
    data = bytearray((bundle / name).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / name).chmod(0o600)
    (bundle / name).write_bytes(data)
    done = cli("replay", bundle)
    assert done.code == 8 and name in done.err


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_patch_is_rejected_by_name(cli, patches: Path, name: str) -> None:
    path = patches / f"{name.replace('/', '-')}.patch"
    path.write_text(WRONG[name])
    done = cli("verify", path, TARGET, "--finding", "CWE-502", "--json")
    verdict = done.json["verdict"]
    assert (done.code, verdict["outcome"], verdict["reason"]) == (6, "rejected", name.split("/")[0]), verdict["summary"]


def test_somebody_elses_right_patch_reaches_e3(cli, patches: Path) -> None:
    path = patches / "right.patch"
    path.write_text(RIGHT)
    done = cli("verify", path, TARGET, "--finding", "CWE-502", "--json")
    assert done.code == 0, done.err
    assert done.json["verdict"]["level"] == 3


def test_a_package_without_tests_ends_honestly_at_e2(cli) -> None:
    done = cli("fix", "pypi:untangle==1.1.1", "--only", "CWE-611", "--json")
    (case,) = done.json["cases"]
    assert (done.code, case["level"], case["reason"]) == (1, "E2", "below-required")
    assert case["verdicts"][-1]["reason"] == "no-tests"


def test_without_a_sandbox_no_code_runs_and_nothing_is_called_proven(cli, sandboxes) -> None:
    before = sandboxes()
    done = cli("fix", TARGET, "--only", "CWE-502", "--sandbox", "none", "--json")
    (case,) = done.json["cases"]
    assert (done.code, case["fixed"]) == (3, False)
    assert {c["name"]: c["status"] for c in case["verdicts"][-1]["checks"]}["tests"] == "not_run"
    assert sandboxes() == before


def environment(state: Path) -> dict[str, str]:
    return {**os.environ, "REMEDIATOR_HOME": str(state), "XDG_CONFIG_HOME": str(state.parent / "config"), "NO_COLOR": "1"}


def _started(state: Path, *words: str) -> subprocess.Popen[str]:
    argv = [PROGRAM, "fix", TARGET, "--only", "CWE-502", *words]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(state), cwd=state.parent)


def _until(process: subprocess.Popen[str], word: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if word in line:
            return
    raise AssertionError(f"never said {word!r}")


def test_killed_it_goes_on_where_it_was(cli, fixed, state: Path, sandboxes) -> None:
    process = _started(state)
    _until(process, "fix ")
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    done = cli("fix", TARGET, "--resume", "--json")
    assert done.code == 0, done.err
    assert done.json["resumed"] and done.json["cases"][0]["level"] == "E3"
    assert sandboxes() == set()


def test_interrupted_it_leaves_nothing_behind_and_can_be_resumed(cli, fixed, state: Path, sandboxes) -> None:
    process = _started(state)
    _until(process, "fix ")
    time.sleep(0.5)
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130 and "--resume" in told
    assert sandboxes() == set()
    done = cli("fix", TARGET, "--resume", "--json")
    assert done.code == 0, done.err


def test_the_fix_is_applied_and_taken_back(cli, fixed, tmp_path: Path) -> None:
    import io
    import tarfile

    import zstandard

    bundle = Path(fixed["cases"][0]["bundle_path"])
    tree = tmp_path / "tree"
    with tarfile.open(
        fileobj=io.BytesIO(zstandard.ZstdDecompressor().stream_reader((bundle / "base.tar.zst").open("rb")).read())
    ) as archive:
        archive.extractall(tree, filter="data")
    for words in (["init", "-q"], ["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "base"]):
        subprocess.run(["git", *words], cwd=tree, check=True)
    done = cli("apply", fixed["cases"][0]["id"], "-C", tree)
    assert done.code == 0, done.err
    applied = subprocess.run(["git", "grep", "-c", "safe_load", "HEAD", "--", FILE], cwd=tree, capture_output=True, text=True, check=False)
    branches = subprocess.run(["git", "branch", "-a"], cwd=tree, capture_output=True, text=True, check=True).stdout
    assert applied.returncode == 0 or "remediator/" in branches
    assert cli("undo", "-C", tree).code == 0
    assert "remediator/" not in subprocess.run(["git", "branch", "-a"], cwd=tree, capture_output=True, text=True, check=True).stdout


def test_reports_are_written_in_the_formats_of_others(cli, fixed, tmp_path: Path) -> None:
    import xml.etree.ElementTree as Xml

    sarif, junit = tmp_path / "out.sarif", tmp_path / "out.xml"
    done = cli("fix", TARGET, "--only", "CWE-502", "-o", f"sarif={sarif}", "-o", f"junit={junit}")
    assert done.code == 0, done.err
    results = [result for run in json.loads(sarif.read_text())["runs"] for result in run["results"]]
    assert any(result.get("fixes") for result in results)
    assert Xml.parse(junit).getroot().tag == "testsuites"
