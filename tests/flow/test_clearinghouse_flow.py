"""A clearinghouse with the real sandbox: what is true is proven again, what is forged under a good key is found out."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from remediator.artefacts import ArtefactStore
from remediator.clearinghouse.client.handing import fix_body
from remediator.clearinghouse.store import Store
from remediator.clearinghouse.wire.answers import Fix
from remediator.clearinghouse.wire.terms import FixState, Scope, Tier, Verb
from remediator.evidence.bundle import Attempt, Bundle, BundleContent, read, write
from remediator.evidence.keys import SigningKey
from remediator.records import Patch, Submission
from remediator.testing.clearinghouse import Clock, Party, party

pytestmark = [pytest.mark.docker, pytest.mark.network, pytest.mark.slow]

SAFE, UNSAFE = "+            return yaml.safe_load(self.content)\n", "-            return yaml.load(self.content)\n"
WRONG = {
    "the feature is gone": "+            return {}\n",
    "nothing is mended": "+            return yaml.load(self.content, Loader=yaml.Loader)\n",
    "what it read is lost": "+            return yaml.safe_load(self.content and '{}')\n",
}
EASY = {"name": "default", "scan": [], "verify": [{"use": "applies"}], "sandbox": {"use": "docker"}}


class Now(Clock):
    """The real time."""

    def __call__(self) -> datetime:
        return datetime.now(UTC)


def forged(folder: Path, honest: Bundle, key: SigningKey, artefact: Callable[[str], bytes], **changes: Any) -> tuple[bytes, dict[str, Any]]:
    """Make a whole bundle, well signed, with the honest one's verdict on another patch or by another playbook."""
    patch, verdict = honest.patch, honest.verdict
    assert patch is not None and verdict is not None
    if diff := changes.pop("diff", ""):
        patch = Patch.of(finding_id=patch.finding_id, fixer=patch.fixer, title=patch.title, diff=diff)
        verdict = verdict.model_copy(update={"patch_id": patch.id})
    content = BundleContent(
        case_id=honest.case_id,
        source=honest.source,
        finding=honest.finding,
        base=honest.base,
        playbook=changes.pop("playbook", yaml.safe_load(honest.playbook)),
        expected=honest.expected,
        artefact=artefact,
        attempts=(Attempt(patch, verdict),),
        chosen=0,
        recipe=honest.recipe,
        baseline=honest.baseline,
    )
    archive = write(folder, content, key).archive.read_bytes()
    named = Submission.identify(honest.source, honest.finding, patch, verdict)
    return archive, fix_body(named, honest.source, honest.finding, patch, verdict, archive, "pkg:pypi/pyanyapi")


async def submitted(who: Party, archive: bytes, body: dict[str, Any]) -> str:
    await who.put(archive)
    return (await who.ask(Verb.submit_fix, body, tlp="clear")).id


def test_only_the_true_fix_is_let_out(cli, fixed, state: Path, tmp_path: Path) -> None:
    honest = read(Path(fixed["cases"][0]["bundle_path"]))
    artefact = ArtefactStore(state / "artefacts").get
    data = tmp_path / "clearinghouse"
    assert honest.patch is not None and SAFE in honest.patch.diff

    async def submit() -> dict[str, str]:
        async with Store.open("sqlite", data) as store:
            who = await party(store, Now(), "submitter", Tier.operator, (Scope.submit, Scope.pull))
            found = {"true": await submitted(who, *forged(tmp_path / "true", honest, who.key, artefact))}
            for name, line in WRONG.items():
                diff = honest.patch.diff.replace(SAFE, line)
                found[name] = await submitted(who, *forged(tmp_path / name, honest, who.key, artefact, diff=diff))
        return found

    async def ended(fixes: dict[str, str]) -> tuple[dict[str, Fix], list[str], str]:
        async with Store.open("sqlite", data) as store:
            organisation = await store.add_organisation("operator", Tier.operator)
            _, secret = await store.create_token(organisation.id, [Scope.admin])
            caller = await store.authenticate(secret)
            told = {name: await store.fix(caller, fix_id) for name, fix_id in fixes.items()}
            out = [entry.fix_id for entry in (await store.feed(caller, 0)).entries]
            return told, out, (await store.verify()).problem

    fixes = asyncio.run(submit())
    done = cli("clearinghouse", "work", "--once", "--data", data)
    assert done.code == 0, done.err
    told, out, problem = asyncio.run(ended(fixes))
    states = {name: (fix.state, fix.level, fix.validation and fix.validation.reason) for name, fix in told.items()}
    assert states["true"][:2] == (FixState.verified, 3), states
    for name in WRONG:
        assert states[name][0] is FixState.rejected, states
    assert out == [fixes["true"]]
    assert problem == ""


def test_an_easier_playbook_is_not_followed(cli, fixed, state: Path, tmp_path: Path) -> None:
    honest = read(Path(fixed["cases"][0]["bundle_path"]))
    data = tmp_path / "clearinghouse"

    async def submit() -> tuple[str, Party]:
        async with Store.open("sqlite", data) as store:
            who = await party(store, Now(), "submitter", Tier.operator, (Scope.submit, Scope.pull))
            easy = forged(tmp_path / "easy", honest, who.key, ArtefactStore(state / "artefacts").get, playbook=EASY)
            return await submitted(who, *easy), who

    fix_id, who = asyncio.run(submit())
    assert cli("clearinghouse", "work", "--once", "--data", data).code == 0

    async def ended() -> Fix:
        async with Store.open("sqlite", data) as store:
            return await store.fix(who.caller, fix_id)

    fix = asyncio.run(ended())
    assert (fix.state, fix.validation and fix.validation.reason) == (FixState.inconclusive, "unknown-playbook")


def test_the_demo_ends_with_the_fix_at_whoever_needs_it(cli, fixed, state: Path, tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "sandbox" / "clearinghouse-demo"
    where = {
        **os.environ,
        "REMEDIATOR_HOME": str(state),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "TMPDIR": str(tmp_path),
        "NO_COLOR": "1",
    }
    done = subprocess.run([str(script), "last"], env=where, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ": verified at E3" in done.stdout
    assert "pkg:pypi/pyanyapi@0.6.0  exact" in done.stdout
    assert SAFE in done.stdout
    assert "every entry, node and commitment fits" in done.stdout
    assert not list(tmp_path.glob("tmp.*")), "the demo leaves nothing behind"
    left = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True, check=False)
    assert left.stdout == ""
