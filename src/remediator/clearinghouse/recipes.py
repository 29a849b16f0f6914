"""What the clearinghouse's operator knows of how projects are built and tested. The submitter's word on it is never asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from packageurl import PackageURL

from remediator.clearinghouse.wire.identity import project as normalised
from remediator.errors import ConfigError
from remediator.recipe.hints import Hints


class Recipes(NamedTuple):
    """Hints by project, and by one version of a package."""

    projects: Mapping[str, Hints]
    versions: Mapping[str, Hints]

    @classmethod
    def read(cls, told: Mapping[str, Hints]) -> Recipes:
        """Read `[validator.recipes]`. Raises ConfigError for a key that is no project, or is the same project as another."""
        projects: dict[str, Hints] = {}
        versions: dict[str, Hints] = {}
        for key, hints in told.items():
            try:
                named, version = _named(key)
            except ValueError as error:
                raise ConfigError(
                    f"validator.recipes: {key[:200]!r} is no project: {error}", hint="a purl such as pkg:pypi/NAME, or a repository's URL"
                ) from error
            place, name = (versions, f"{named}@{version}") if version else (projects, named)
            if name in place:
                raise ConfigError(f"validator.recipes: {key[:200]!r} names {name} a second time", hint="leave one of them")
            place[name] = hints
        return cls(projects, versions)

    def of(self, source: str) -> Hints:
        """Return the hints for a source as it is fetched; its own version before all versions."""
        # A submitter who spells the name in another way is not to choose by that whether it is built by them.
        named, version = _named(source)
        found = self.versions.get(f"{named}@{version}") or self.projects.get(named)
        return found if found is not None else Hints()


def _named(text: str) -> tuple[str, str | None]:
    """Return a project's one spelling, and the version of a package. Raises ValueError."""
    return normalised(text), PackageURL.from_string(text).version if text.startswith("pkg:") else None
