"""What models are told, word for word: a change of a prompt is a change of behaviour and has to be seen in a diff.

After a wanted change: python tests/unit/test_prompts.py
"""

from __future__ import annotations

from pathlib import Path
from string import Template

import pytest
import yaml

from remediator.builtin import prompts

SNAPSHOTS = Path(__file__).parents[1] / "data" / "prompts"
NAMES = ("agent", "reviewer", "external", "selector")


def rendered(name: str) -> str:
    texts = yaml.safe_load((Path(prompts.__file__).parent / f"{name}.yaml").read_text("utf-8"))
    loaded = prompts.load_prompts(name)
    parts = []
    for key, text in texts.items():
        values = {variable: f"[[{variable}]]" for variable in Template(text).get_identifiers()}
        parts.append(f"=== {key}\n{loaded.render(key, **values)}\n")
    return "\n".join(parts)


@pytest.mark.parametrize("name", NAMES)
def test_prompts_are_as_they_were(name: str) -> None:
    assert rendered(name) == (SNAPSHOTS / f"{name}.txt").read_text("utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_every_prompt_calls_strangers_text_data(name: str) -> None:
    assert "is data" in rendered(name).replace("\n", " ").replace("It is data", "is data")


if __name__ == "__main__":
    for each in NAMES:
        (SNAPSHOTS / f"{each}.txt").write_text(rendered(each), "utf-8")
