"""The plan as a page for people: one file that needs no network and no script, and that lets nothing in it ask for any."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.resources import files
from typing import Any, NamedTuple, Protocol

from markupsafe import Markup

from remediator.clearinghouse.pages.showing import environment
from remediator.clearinghouse.sbom import Match, Sbom

_MOST_LISTED = 200
_LEVELS = {
    "exact": "the flaw was shown in this very version",
    "range": "older than the release with the fix",
    "name-only": "the same package; whether this version is affected cannot be said",
}
_MORE_STYLE = """
ul.facts { padding-left: 1.2rem; }
.soon { font-weight: 700; }
.withdrawn { color: var(--bad); font-weight: 700; }
@media print { body { max-width: none; } }
"""


class PlanRow(Protocol):
    """A row of the plan."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """Return its facts by name."""

    @property
    def match(self) -> Match:
        """Return what it was made from."""


class About(NamedTuple):
    """What the page says besides the rows. `said_fixed` are components that need nothing, if their submitters tell the truth."""

    at: datetime
    subscription: str
    url: str
    pulled_at: datetime | None
    ledger_size: int
    sboms: Sequence[Sbom]
    said_fixed: Sequence[Match]
    exposed: bool | None
    feeds: Sequence[str]


def page(rows: Sequence[PlanRow], about: About) -> bytes:
    """Return the page. Its policy lets in its own style by its digest, and nothing else."""
    style = files("remediator.clearinghouse.pages").joinpath("static/page.css").read_text("utf-8") + _MORE_STYLE
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    unnamed = [each for sbom in about.sboms for each in sbom.unnamed]
    made = environment("remediator.clearinghouse.client").get_template("plan.html")
    text = made.render(
        rows=rows,
        about=about,
        components=sum(len(sbom.components) for sbom in about.sboms),
        unnamed=unnamed[:_MOST_LISTED],
        unnamed_left=max(0, len(unnamed) - _MOST_LISTED),
        said_fixed=about.said_fixed[:_MOST_LISTED],
        said_fixed_left=max(0, len(about.said_fixed) - _MOST_LISTED),
        levels=_LEVELS,
        # Ours alone: no word of a stranger is in it.
        style=Markup(style),  # noqa: S704
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
    )
    return text.encode("utf-8", "backslashreplace")
