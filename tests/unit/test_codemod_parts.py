"""The parts that the transforms stand on: words of a shell, what a project declares, templates, places, and the reference."""

from __future__ import annotations

from pathlib import Path

import libcst as cst
import pytest

from remediator.builtin.codemods.catalog import TRANSFORMS
from remediator.builtin.codemods.project_facts import ProjectFacts
from remediator.builtin.codemods.propose import Question, Region, propose
from remediator.builtin.codemods.reference import reference_table
from remediator.builtin.codemods.scene import Scene
from remediator.builtin.codemods.shell_words import ShellNeededError, split_words
from remediator.builtin.codemods.source_text import SourceText
from remediator.builtin.codemods.template import Template
from remediator.builtin.codemods.template_parts import Style, TemplateError
from remediator.builtin.codemods.yaml_load import YamlSafeLoad


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ls -l", ["ls", "-l"]),
        ("  echo  'a  b'c \"d e\" ''", ["echo", "a  bc", "d e", ""]),
        ("git log --author=\0", ["git", "log", "--author=\0"]),
        ("find . -name '*.py'", ["find", ".", "-name", "*.py"]),
    ],
)
def test_plain_command_is_split_as_a_shell_would(line: str, words: list[str]) -> None:
    assert split_words(line) == words


@pytest.mark.parametrize(
    "line",
    [
        "a | b",
        "a > b",
        "a && b",
        "ls *",
        "echo $X",
        'echo "$X"',
        "a; b",
        "X=1 a",
        "cd x",
        "a 'b",
        "",
        "\0 a",
        "a ~/b",
        "`a`",
        "a \\\nb",
        "a &",
        "{a,b}",
        "a #b",
    ],
)
def test_command_that_needs_a_shell_is_refused(line: str) -> None:
    with pytest.raises(ShellNeededError):
        split_words(line)


@pytest.mark.parametrize(
    ("name", "text", "requires", "floor"),
    [
        (
            "pyproject.toml",
            '[project]\ndependencies = ["defusedxml>=0.7", "A_b"]\nrequires-python = ">=3.9"',
            {"defusedxml", "a-b"},
            (3, 9),
        ),
        ("pyproject.toml", '[tool.poetry.dependencies]\npython = "^3.8"\ndefusedxml = "*"', {"python", "defusedxml"}, None),
        ("pyproject.toml", "not toml [", set(), None),
        ("setup.cfg", "[options]\ninstall_requires =\n  six\n  lxml>3\npython_requires = >=2.7, !=3.0.*", {"six", "lxml"}, (2, 7)),
        ("setup.py", "from setuptools import setup\nsetup(install_requires=['six'], python_requires='>=3.8.1')", {"six"}, (3, 8)),
        ("setup.py", "print 'old'", set(), None),
        (
            "setup.py",
            "setup(classifiers=['Programming Language :: Python :: 3.6', 'Programming Language :: Python :: 3.10'])",
            set(),
            (3, 6),
        ),
        ("requirements.txt", "# a\n-r other\nsix==1\n", {"six"}, None),
        ("setup.cfg", "[options]\npython_requires = what\n", set(), None),
    ],
)
def test_declarations_are_read_and_never_run(name: str, text: str, requires: set[str], floor: tuple[int, int] | None) -> None:
    assert ProjectFacts.read({name: text.encode()}) == ProjectFacts(frozenset(requires), floor)


@pytest.mark.parametrize(
    ("source", "plain", "braces"),
    [
        ('"a %s %%" % x', '"a ? %"', '"a {} %"'),
        ('f"{{}} {x}"', '"{} ?"', '"{{}} {}"'),
        ('"{0} {{" .format(x)', '"? {"', '"{} {{"'),
        ("'a=' + x + ' b'", "'a=? b'", "'a={} b'"),
        ("\"a\" + x + 'b'", "\"a?\" 'b'", "\"a{}\" 'b'"),
        ('r"\\d %s" % x', 'r"\\d ?"', 'r"\\d {}"'),
        ('u"a\\n" u"%s" % x', 'u"a\\n" u"?"', 'u"a\\n" u"{}"'),
    ],
)
def test_template_is_written_anew_in_place(source: str, plain: str, braces: str) -> None:
    template = template_of(source)

    assert template is not None
    assert template.render(["?"], Style.plain) == plain
    assert template.render(["{}"], Style.braces) == braces


@pytest.mark.parametrize(
    "source",
    ['b"%s" % x', '"%s %s" % (x,)', '"%s" % (x, y)', '"{a.b}".format(a=x)', '"%*d" % (3, x)', "x + y", '"%s" % (*x,)', '"\\0" + x'],
)
def test_template_that_is_not_understood_is_none(source: str) -> None:
    template = template_of(source)

    if template is not None:
        with pytest.raises(TemplateError):
            template.render(["?"] * len(template.holes), Style.plain)
        assert "*" in source


def template_of(source: str) -> Template | None:
    scene = Scene(f"v = ({source})\n")
    node = next(node for node in scene.nodes() if isinstance(node, cst.Assign))
    return Template.of(node.value, scene)


TWO = "import yaml\na = yaml.load(x); b = yaml.load(y)\n"


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        (Region(2, 5, 2, 17), "a = yaml.safe_load(x); b = yaml.load(y)"),
        (Region(2, 23, 2, 35), "a = yaml.load(x); b = yaml.safe_load(y)"),
        (Region(2, 1, 2, 1), "a = yaml.safe_load(x); b = yaml.safe_load(y)"),
        (Region(2, 15, 2, 16), "a = yaml.safe_load(x); b = yaml.load(y)"),
        (Region(2, 1, 2, 17), "a = yaml.safe_load(x); b = yaml.load(y)"),
        (Region(2, 1, 1, 1), "a = yaml.safe_load(x); b = yaml.safe_load(y)"),
    ],
    ids=["the call", "the other call", "the line", "an argument", "the statement", "half a region"],
)
def test_place_of_the_finding_chooses_the_code(region: Region, expected: str) -> None:
    answer = propose(Question("a.py", TWO.encode(), region, (502,)), (YamlSafeLoad(),))

    assert answer.changes[0].data.decode().splitlines()[1] == expected


@pytest.mark.parametrize("data", [b"# coding: latin-1\n\xe9\n", b"\xef\xbb\xbfx = 1\r\n", "x = 'é'".encode(), b"\ta\r\nb\n"])
def test_source_gives_the_same_bytes_back(data: bytes) -> None:
    source = SourceText.decode(data)

    assert source.encode(source.text) == data


def test_reference_tells_of_every_transform() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "codemods.md"

    assert page.read_text(encoding="utf-8").endswith(reference_table(TRANSFORMS))


def test_every_transform_says_what_it_is() -> None:
    names = [transform.name for transform in TRANSFORMS]

    assert len(names) == len(set(names))
    for transform in TRANSFORMS:
        assert transform.cwe
        assert transform.words
        assert transform.summary
        assert transform.behaviour.endswith(".")
        assert transform.declines.endswith(".")
