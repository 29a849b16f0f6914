"""What `remediator clearinghouse serve --demo` furnishes: somebody who takes part, one flaw, stand-ins for feeds, and how to go on."""

from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from remediator.cli.session import Session
from remediator.errors import UsageError

if TYPE_CHECKING:
    from remediator.clearinghouse.store import Store

_NAME = "Demo Team"
_FLAW = {
    "project": "pkg:pypi/pyanyapi",
    "version": "0.6.0",
    "path": "pyanyapi/interfaces.py",
    "cwe": [502],
    "snippet": "yaml.load(content)",
    "aliases": ["CVE-2017-16616"],
    "severity": "critical",
    "title": "yaml.load on what a server sends",
}


def stand_ins(folder: Path, at: datetime) -> Path:
    """Write feeds that say of themselves that they are for a demo; return their folder."""
    folder.mkdir(mode=0o700, exist_ok=True)
    entries = [{"cveID": "CVE-2021-44228", "dateAdded": "2021-12-10"}]
    document = {"title": "a stand-in", "catalogVersion": "demo", "dateReleased": at.isoformat(), "count": 1, "vulnerabilities": entries}
    (folder / "kev.json").write_text(json.dumps(document))
    rows = "cve,epss,percentile\nCVE-2021-44228,0.94,0.99\nCVE-2017-16616,0.02,0.8\n"
    (folder / "epss.csv").write_text(f"#model_version:demo,score_date:{at.isoformat()}\n{rows}")
    (folder / "ssvc.csv").write_text(f"cve,automatable,technical_impact,date\nCVE-2017-16616,yes,total,{at:%Y-%m-%d}\n")
    return folder


async def check_unused(store: Store, data: Path) -> None:
    """Raise UsageError for a clearinghouse in use, before anything of it is ranked by stand-ins, or served."""
    if await store.organisations():
        raise UsageError(f"{data} is a clearinghouse in use; --demo makes a new one", hint="another --data, or leave out --demo")


async def furnish(session: Session, store: Store, data: Path, url: str) -> None:
    """Make an organisation, its token and key, and a flaw that it reports; print how to go on."""
    from remediator.clearinghouse.wire.envelope import seal
    from remediator.clearinghouse.wire.terms import Scope, Tier, Verb
    from remediator.clearinghouse.wire.verbs import Request
    from remediator.evidence.keys import signing_key

    organisation = await store.add_organisation(_NAME, Tier.operator)
    key = signing_key(session.settings.state / "keys")
    await store.add_key(organisation.id, key.public.line())
    _, token = await store.create_token(organisation.id, (Scope.submit, Scope.pull), label="demo")
    secret = data / "demo-token"
    secret.touch(mode=0o600)
    secret.write_text(token)
    facts = {"key": "demo-finding-0001", "audience": store.audience, "submitter": organisation.id, "at": datetime.now(UTC)}
    request = Request.model_validate({"verb": Verb.submit_finding, "tlp": "clear", "body": {"flaw": _FLAW, "scanner": "demo"}, **facts})
    await store.perform(await store.authenticate(token), seal(request, key))
    link = await store.login_link(organisation.id, "demo", tuple(Scope))
    settings = data / "demo.toml"
    reference = f"cmd:cat {shlex.quote(str(secret.absolute()))}"
    settings.write_text(f'[clearinghouses.demo]\nurl = "{url}"\ntoken = {json.dumps(reference)}\ntrust = "{store.audience}"\n')
    named = shlex.quote(str(settings.absolute()))
    session.out.print(f"demo: {_NAME}, with a token and this machine's key; one flaw; kev, epss and ssvc are stand-ins", soft_wrap=True)
    for what, how in (
        ("look", f"{url}/login/{link}    (once, within 15 minutes)"),
        ("lease", f"remediator -c {named} lease take pkg:pypi/NAME"),
        ("hand over", f"remediator -c {named} submit CASE"),
        ("subscribe", f"remediator subscribe {url} --name demo --trust {store.audience} --token {shlex.quote(reference)}"),
        ("pull", "remediator pull --name demo --sbom SBOM.cdx.json"),
        ("check", f"remediator -c {named} clearinghouse conform {url} --read-only --token {shlex.quote(reference)}"),
    ):
        session.out.print(f"  {what:<10} {how}", soft_wrap=True, highlight=False)
