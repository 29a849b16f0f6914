from __future__ import annotations

from pathlib import Path

import pytest

from remediator.builtin.branch_sink import BranchSink
from remediator.builtin.spool_sink import SpoolSink
from remediator.testing.conformance import SinkConformance


class TestSpoolSink(SinkConformance):
    @pytest.fixture
    def submission(self, world, ref):
        from remediator.records import Submission

        content = world.content
        patch, verdict = content.attempts[content.chosen or 0]
        return Submission(
            id=Submission.identify(content.source, content.finding, patch, verdict),
            case_id=content.case_id,
            source=content.source,
            finding=content.finding,
            patch=patch,
            verdict=verdict,
            bundle_digest=ref.digest,
            bundle_path=str(ref.path),
        )

    @pytest.fixture
    def component(self, tmp_path: Path) -> SpoolSink:
        return SpoolSink(folder=str(tmp_path / "spool"))


class TestBranchSink(TestSpoolSink):
    @pytest.fixture
    def component(self, tmp_path: Path) -> BranchSink:
        return BranchSink(folder=str(tmp_path / "patches"))
