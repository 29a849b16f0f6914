"""What no patch may touch, by path, kind, mode and size."""

from __future__ import annotations

import pytest

from remediator.diff import Policy, inspect


def _edit(path: str) -> str:
    def quoted(prefix: str) -> str:
        raw = f"{prefix}{path}".encode("utf-8", "surrogateescape")
        return '"' + "".join(chr(b) if 32 <= b < 127 and b not in (34, 92) else f"\\{b:03o}" for b in raw) + '"'

    return f"--- {quoted('a/')}\n+++ {quoted('b/')}\n@@ -1 +1 @@\n-a\n+b\n"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/etc/passwd", "absolute-path"),
        ("C:/x.py", "absolute-path"),
        ("../x.py", "parent-path"),
        ("a/../../x.py", "parent-path"),
        ("a/..\\x.py", "parent-path"),
        ("a/.. /x.py", "parent-path"),
        ("a/.\u200b./x.py", "parent-path"),
        ("a/．．/x.py", "parent-path"),
        ("a//x.py", "odd-path"),
        ("./x.py", "odd-path"),
        ("a/x\n.py", "odd-path"),
        ("a/x\x1b[31m.py", "odd-path"),
        ("a/x\u202e.py", "odd-path"),
        ("a/\udcff.py", "odd-path"),
        ("a/x.py.", "odd-path"),
        ("a/x.py:stream", "odd-path"),
        ("a/nul.py", "odd-path"),
        (".git/config", "git-internals"),
        (".GIT/hooks/x", "git-internals"),
        (".g\u200cit/config", "git-internals"),
        ("git~1/config", "git-internals"),
        ("a/.gitattributes", "git-internals"),
        (".gitmodules", "git-internals"),
        (".Git /x", "git-internals"),
        (".git::$INDEX_ALLOCATION/config", "git-internals"),
        (".github/workflows/x.yml", "ci-edit"),
        (".gitlab-ci.yml", "ci-edit"),
        ("Jenkinsfile", "ci-edit"),
        ("tox.ini", "ci-edit"),
        ("noxfile.py", "ci-edit"),
        (".circleci/config.yml", "ci-edit"),
        ("azure-pipelines.yml", "ci-edit"),
        ("tests/data/x.json", "test-edit"),
        ("src/pkg/tests/x.py", "test-edit"),
        ("TESTS/x.py", "test-edit"),
        ("ｔests/x.py", "test-edit"),
        ("pkg/test_x.py", "test-edit"),
        ("pkg/x_test.go", "test-edit"),
        ("pkg/conftest.py", "test-edit"),
        ("src/a.spec.ts", "test-edit"),
        ("src/main/FooTest.java", "test-edit"),
        ("pytest.ini", "config-edit"),
        ("setup.cfg", "config-edit"),
        (".semgrepignore", "config-edit"),
        (".bandit", "config-edit"),
        (".pre-commit-config.yaml", "config-edit"),
        (".coveragerc", "config-edit"),
        ("sonar-project.properties", "config-edit"),
        ("mypy.ini", "config-edit"),
        (".vscode/settings.json", "config-edit"),
        (".claude/settings.json", "config-edit"),
        ("AGENTS.md", "config-edit"),
        ("docs/CLAUDE.md", "config-edit"),
        ("setup.py", "build-script"),
        ("pyproject.toml", "build-script"),
        ("Makefile", "build-script"),
        ("a/package.json", "build-script"),
        ("MANIFEST.in", "build-script"),
        ("Dockerfile", "build-script"),
        ("requirements-dev.txt", "dependency-manifest"),
        ("poetry.lock", "dependency-manifest"),
        ("sitecustomize.py", "startup-hook"),
        ("a/x.pth", "startup-hook"),
        ("pip/_vendor/x.py", "generated-edit"),
        ("static/x.min.js", "generated-edit"),
        (".env", "hidden-path"),
    ],
)
def test_a_forbidden_path_is_named(path: str, code: str) -> None:
    codes = [objection.code for objection in inspect(_edit(path))]
    assert code in codes
    assert codes[0] == code or codes[0] in ("parent-path", "odd-path", "absolute-path", "git-internals"), codes


@pytest.mark.parametrize(
    "path",
    [
        *(
            "src/app/main.py",
            "contests/a.py",
            "app/attestation.py",
            "latest/x.py",
            "app/tasks.py",
            "mkdocs/commands/build.py",
            "app/dockerfile.py",
        ),
        *(
            "app/features/x.py",
            "lib/setup_logging.py",
            "README.md",
            "docs/index.rst",
            "app/semgrep.py",
            "app/spec.py",
            "a b/c d.py",
            "übung/x.py",
        ),
        *(
            "app/makefile.py",
            "protest/x.py",
            "app/testament.py",
            "app/ci/x.py",
            "app/environment.py",
            "app/static/app.js",
            "app/con_text.py",
        ),
    ],
)
def test_product_files_are_free(path: str) -> None:
    assert inspect(_edit(path)) == ()


@pytest.mark.parametrize(
    ("diff", "code"),
    [
        (
            "diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/etc\n\\ No newline at end of file\n",
            "symlink",
        ),
        ("diff --git a/l b/l\nindex 1111111..2222222 120000\n--- a/l\n+++ b/l\n@@ -1 +1 @@\n-a\n+/etc\n", "symlink"),
        ("diff --git a/s b/s\nnew file mode 160000\n--- /dev/null\n+++ b/s\n@@ -0,0 +1 @@\n+Subproject commit aaaa\n", "submodule"),
        ("diff --git a/m b/m\nold mode 100644\nnew mode 100755\n", "mode-change"),
        ("diff --git a/m b/m\nold mode 100644\nnew mode 120000\n", "symlink"),
        ("diff --git a/x.py b/x.py\nnew file mode 104755\n--- /dev/null\n+++ b/x.py\n@@ -0,0 +1 @@\n+a\n", "mode-change"),
        ("diff --git a/x.py b/x.py\nnew file mode 100755\n--- /dev/null\n+++ b/x.py\n@@ -0,0 +1 @@\n+a\n", "new-executable"),
        ("diff --git a/b b/b\nindex 1111111..2222222 100644\nBinary files a/b and b/b differ\n", "binary"),
        ("diff --git a/b b/b\nindex 1111111..2222222 100644\nGIT binary patch\nliteral 0\nHcmV?d00001\n\n", "binary"),
        ("diff --git a/o.py b/n.py\nsimilarity index 100%\nrename from o.py\nrename to n.py\n", "rename"),
        ("diff --git a/o.py b/o.py\ndeleted file mode 100644\n--- a/o.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n", "feature-deleted"),
        ("--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-a\n+# -*- coding: utf-7 -*-\n", "hidden-characters"),
        ("--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-a\n+b \u2066 c\n", "hidden-characters"),
        ("--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-a\n+b\x1b[2J\n", "hidden-characters"),
        ("--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-a\n+b\rc\n", "hidden-characters"),
        ("not a patch\n", "malformed-patch"),
    ],
)
def test_a_forbidden_kind_of_change_is_named(diff: str, code: str) -> None:
    assert inspect(diff)[0].code == code


def test_size_is_limited_by_the_operator() -> None:
    diff = "--- a/x.py\n+++ b/x.py\n@@ -1 +1,5 @@\n-a\n" + "+b\n" * 5
    assert inspect(diff) == ()
    assert [o.code for o in inspect(diff, Policy(max_lines=5))] == ["too-large"]
    assert [o.code for o in inspect(diff + diff.replace("x.py", "y.py"), Policy(max_files=1))] == ["too-large"]


def test_the_operator_may_open_a_role_but_never_an_escape() -> None:
    everything = Policy(allow=("*",))
    assert inspect(_edit("tests/x.py"), everything) == ()
    assert [o.code for o in inspect(_edit(".git/config"), everything)] == ["git-internals"]
    assert [o.code for o in inspect(_edit("../tests/x.py"), everything)] == ["parent-path"]


def test_what_the_removed_lines_hold_may_stay() -> None:
    assert inspect("--- a/x.py\n+++ b/x.py\n@@ -1,2 +1,2 @@\n-\ufeffa = 1\r\n-\x0cb\r\n+\ufeffa = 2\r\n+\x0cc\r\n") == ()
    assert inspect("--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-s = 'né'\n+s = 'né' + 'Ж'\n") == ()
