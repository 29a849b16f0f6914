"""A published fix to try things with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from remediator.clearinghouse.wire.answers import Fix, Flaw, Published, Validation
from remediator.clearinghouse.wire.terms import FixState, Tlp

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
PATCH = """diff --git a/pkg/app.py b/pkg/app.py
--- a/pkg/app.py
+++ b/pkg/app.py
@@ -1,2 +1,2 @@
 def load(text):
-    return eval(text)
+    return int(text)
"""


def published_fix(
    *, flaw: dict[str, Any] | None = None, fix: dict[str, Any] | None = None, patch: str = PATCH, published_at: datetime = AT
) -> Published:
    """Return a verified fix of `pkg:pypi/pyanyapi` 0.6.0; `flaw` and `fix` are fields that differ."""
    about = {
        "id": f"flaw-{'a' * 24}",
        "project": "pkg:pypi/pyanyapi",
        "version": "0.6.0",
        "commit": "4c0b3d1d" * 5,
        "path": "pkg/app.py",
        "line": 2,
        "cwe": (95,),
        "aliases": ("CVE-2017-16616", "GHSA-qjx3-mmpv-p8h5"),
        "severity": "critical",
        "title": "Text from outside is run as code",
        "details": "load() hands its argument to eval().",
        "references": ("https://example.org/advisory/1",),
        "tlp": Tlp.clear,
        "first_seen": AT,
        "updated_at": AT,
    }
    made = {
        "id": f"fix-{'b' * 24}",
        "flaw_id": (about | (flaw or {}))["id"],
        "submission_id": "sub-1",
        "patch_id": "patch-1",
        "bundle": f"sha256:{'c' * 64}",
        "bundle_bytes": 1000,
        "organisation": "",
        "state": FixState.verified,
        "claimed_level": 4,
        "level": 4,
        "lines_changed": 2,
        "fixed_version": "",
        "tlp": Tlp.clear,
        "submitted_at": AT,
        "updated_at": AT,
        "validation": Validation(outcome="verified", level=4, checks=({"name": "applies", "level": "E0", "status": "passed"},)),
    }
    return Published(
        fix=Fix.model_validate(made | (fix or {})), flaw=Flaw.model_validate(about | (flaw or {})), patch=patch, published_at=published_at
    )
