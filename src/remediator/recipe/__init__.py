"""How a project is prepared, built and tested: found by trying, inside sandboxes only."""

from __future__ import annotations

from remediator.recipe.detect import syntax_error
from remediator.recipe.establish import establish, is_healthy
from remediator.recipe.hints import Hints
from remediator.recipe.measuring import build, measure, probe, test
from remediator.recipe.preparing import extended, prepare

__all__ = ["Hints", "build", "establish", "extended", "is_healthy", "measure", "prepare", "probe", "syntax_error", "test"]
