"""What a file is for, as far as its path tells: tests, CI, configuration, build, start-up, vendored."""

from __future__ import annotations

import re
from collections.abc import Iterator

from remediator.diff.objection import Objection
from remediator.diff.path_shape import folded

_SETTINGS = r"(?:ya?ml|toml|ini|cfg|json[c5]?|xml|neon|properties|conf|dist|[cm]?js|ts|lock|baseline)"
_TEST_FOLDERS = frozenset(
    (
        *(
            "test",
            "tests",
            "testing",
            "testsuite",
            "testsuites",
            "testdata",
            "test_data",
            "test-data",
            "unittest",
            "unittests",
            "unit_tests",
        ),
        *("functional_tests", "integration_tests", "e2e", "__tests__", "__mocks__", "__snapshots__", "fixture", "fixtures", "testcases"),
        *("test_cases", "test_fixtures", "doctests", "smoketests", "regression_tests", "test_suite", "testutils", "test_utils"),
    )
)
_TEST_NAME = re.compile(
    r"(?:test|tests|testing|conftest|unittests?|runtests?|run_tests?|test_?suite|alltests)\.\w+"
    r"|(?:test|tests)[_-].*|.*[_-](?:test|tests|testsuite|unittest)\.\w+|.*\.(?:test|tests|spec)\.\w+|.*[_-]spec\.(?:rb|[jt]sx?|lua|php)"
    r"|.*\.(?:snap|feature)"
)
_JAVA_TEST = re.compile(r"(?:Test[A-Z].*|.*(?:Test|Tests|TestCase|IT))\.(?:java|kt|scala|groovy|cs)")
_CI_FOLDERS = frozenset(
    (".github", ".circleci", ".gitlab", ".buildkite", ".azure-pipelines", ".teamcity", ".woodpecker", ".ci", ".jenkins")
)
_CI_NAME = re.compile(
    r"\.gitlab-ci.*|jenkinsfile.*|azure-pipelines.*|\.?appveyor\.ya?ml|\.travis.*|\.drone.*|\.cirrus.*|bitbucket-pipelines.*|\.woodpecker.*"
    r"|(?:cloudbuild|buildspec|buildkite|wercker|semaphore|zuul|taskfile|renovate|dependabot|codecov|mergify)[\w.-]*\.(?:ya?ml|json5?|toml)"
    r"|\.(?:codecov|readthedocs|zuul|mergify|renovaterc).*|tox\.(?:ini|toml)|noxfile\.\w+"
)
_CONFIG_FOLDERS = frozenset(
    (
        *(
            ".vscode",
            ".idea",
            ".claude",
            ".cursor",
            ".devcontainer",
            ".semgrep",
            ".codeql",
            ".sonarlint",
            ".aider",
            ".continue",
            ".windsurf",
        ),
        *(".kiro", ".gemini", ".codex", ".roo", ".amazonq", ".mcp", ".agents", ".clinerules"),
    )
)
_CONFIG_NAME = re.compile(
    r"pytest.*\.(?:ini|toml)|setup\.cfg|(?:nose|unittest|trial|nose2)\.cfg|behave\.ini|\.(?:behaverc|noserc|testr\.conf|stestr\.conf)"
    rf"|(?:semgrep|bandit|sonar|codeql|trivy|checkov|gitleaks|phpunit|phpstan|psalm|checkstyle|spotbugs|findbugs|pmd|jest|vitest|karma|coverage"
    rf"|pyrightconfig|tslint|eslint|remediator|golangci|mcp|lgtm|detekt|ktlint)[\w-]*(?:\.config|\.conf)?\.{_SETTINGS}"
    r"|\.?(?:coveragerc|pylintrc|flake8|bandit|mypy\.ini|ruff\.toml|pycodestyle|editorconfig)"
    r"|\.(?:semgrep|sonar|pre-commit|pyre|snyk|nosec|safety|trivyignore|checkov|gitleaks|lgtm|whitesource|eslint|prettier|mocharc|nycrc|rubocop"
    r"|golangci|remediator|dockerignore|mcp|isort\.cfg|style\.yapf|cursorrules|windsurfrules|bandit|coveragerc|tfsec|hadolint).*"
    r"|(?:agents|claude|gemini|copilot-instructions|copilot)\.md"
)
_BUILD_NAME = re.compile(
    r"setup\.py|pyproject\.toml|manifest\.in|(?:gnu)?makefile(?:\.(?:am|in|inc|win|unix|common))?|.*\.mk|cmakelists\.txt|.*\.cmake"
    r"|configure(?:\.(?:ac|in))?|meson\.build|meson_options\.txt|build\.(?:rs|xml|sbt|zig)|package\.json|(?:gulp|grunt)file\.\w+"
    r"|(?:webpack|rollup|vite|babel)\.[\w.-]*[jt]s|rakefile(?:\.rb)?|.*\.gemspec|pom\.xml|.*\.gradle(?:\.kts)?|gradlew.*|mvnw.*"
    r"|(?:build|workspace|module)\.bazel|\.bazelrc|buck|sconstruct|sconscript|wscript|(?:docker|container)file(?:\.(?!py$)[\w-]+)?|.*\.dockerfile"
    r"|docker-compose[\w.-]*\.ya?ml|compose\.ya?ml|vagrantfile|procfile|justfile|(?:install|bootstrap)\.sh|versioneer\.py"
    r"|(?:ez|distribute)_setup\.py|hatch_build\.py|fabfile\.py|cargo\.toml|go\.(?:mod|work)|composer\.json|.*\.(?:csproj|sln|props|targets)"
)
_BUILD_NAME_AT_ROOT = re.compile(r"_?setup_\w+\.py|build\.(?:py|sh)|bootstrap\.py|make\.(?:py|sh)|dodo\.py")
_MANIFEST_NAME = re.compile(
    r"(?:.*[_-])?requirements?(?:[_-].*)?\.(?:txt|in|pip)|constraints?.*\.txt|pipfile(?:\.lock)?|(?:poetry|pdm|uv)\.lock|pylock.*\.toml"
    r"|conda.*\.ya?ml|environment\.ya?ml|package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml|\.npmrc|\.yarnrc.*"
    r"|gemfile(?:\.lock)?|cargo\.lock|go\.sum|composer\.lock|packages\.lock\.json|pip\.(?:conf|ini)|\.pypirc|gradle\.lockfile"
    r"|\.python-version|runtime\.txt|\.tool-versions"
)
_STARTUP_NAME = re.compile(
    r"(?:sitecustomize|usercustomize)\.py|.*\.pth|\.pythonstartup|\.pythonrc.*|.*\.egg-link|entry_points\.txt|\.pdbrc|.*\.py[co]"
)
_VENDORED_FOLDERS = frozenset(
    (
        *("vendor", "vendored", "_vendor", "_vendored", "third_party", "third-party", "thirdparty", "extern", "externals"),
        *("node_modules", "bower_components", "site-packages", "dist-packages", "__pycache__"),
    )
)
_GENERATED_NAME = re.compile(
    r".*\.min\.(?:js|css)|.*_pb2(?:_grpc)?\.pyi?|.*\.pb\.go|.*\.g\.dart|.*\.designer\.cs|parsetab\.py|.*\.(?:egg|whl|jar)"
)


def objections_of(path: str) -> Iterator[Objection]:
    """Yield why a patch may not touch a file of this role; at most one."""
    *folders, name = folded(path).split("/")
    for code, detail in _roles(folders, name, path.rpartition("/")[2]):
        yield Objection(code, path, detail)
        return


def is_test(path: str) -> bool:
    """Return whether the path names a test, test data or what tests are set up with."""
    *folders, name = folded(path).split("/")
    return _is_test(folders, name, path.rpartition("/")[2])


def _is_test(folders: list[str], name: str, exact_name: str) -> bool:
    return bool(_TEST_FOLDERS.intersection(folders) or _TEST_NAME.fullmatch(name) or _JAVA_TEST.fullmatch(exact_name))


def _roles(folders: list[str], name: str, exact_name: str) -> Iterator[tuple[str, str]]:
    whole = {*folders, name}
    if _STARTUP_NAME.fullmatch(name):
        yield "startup-hook", f"{name!r} is run by the interpreter by itself"
    if _is_test(folders, name, exact_name):
        yield "test-edit", "tests, their data and their set-up are what a patch is judged by"
    if _CI_FOLDERS & whole or folders[:1] == ["ci"] or _CI_NAME.fullmatch(name):
        yield "ci-edit", "CI files are not for patches"
    if _CONFIG_FOLDERS & whole or _CONFIG_NAME.fullmatch(name):
        yield "config-edit", "settings of test runners, scanners, editors and agents are not for patches"
    if _BUILD_NAME.fullmatch(name) or (not folders and _BUILD_NAME_AT_ROOT.fullmatch(name)):
        yield "build-script", "build scripts are not for patches"
    if _MANIFEST_NAME.fullmatch(name):
        yield "dependency-manifest", "what is installed is not for this kind of patch"
    if _VENDORED_FOLDERS.intersection(folders) or _GENERATED_NAME.fullmatch(name):
        yield "generated-edit", "vendored and generated files are mended at their origin"
    if any(part.startswith(".") and part not in (".", "..") for part in whole):
        yield "hidden-path", "hidden files are settings of some tool"
