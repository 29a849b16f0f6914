"""SQL put together from strings and values."""

from __future__ import annotations

import re

import libcst as cst
from libcst.metadata import Assignment

from remediator.builtin.codemods.context_words import vocabulary, words_of
from remediator.builtin.codemods.draft import Draft
from remediator.builtin.codemods.scene import Scene, dotted
from remediator.builtin.codemods.sql_places import value_places
from remediator.builtin.codemods.template import Template
from remediator.builtin.codemods.template_parts import Style, TemplateError
from remediator.builtin.codemods.transform import Transform, ambiguous, needs_design, needs_model, unsafe

_DRIVERS = {
    **dict.fromkeys(("sqlite3", "pysqlite2", "apsw", "aiosqlite", "pyodbc", "pysqlcipher3"), "?"),
    **dict.fromkeys(
        (
            "psycopg2",
            "psycopg",
            "MySQLdb",
            "pymysql",
            "mysql.connector",
            "pymssql",
            "aiopg",
            "aiomysql",
            "django.db",
            "flask_mysqldb",
            "flaskext.mysql",
        ),
        "%s",
    ),
}
_ANSI = ("psycopg2", "psycopg", "aiopg", "django.db")
_FOREIGN = ("sqlalchemy", "asyncpg", "peewee", "cx_Oracle", "oracledb", "databases", "tortoise", "pandas")
_VERB = re.compile(r"\s*(?:--[^\n]*\n\s*)*(select|insert|update|delete|replace|with|merge|call|exec)\b", re.IGNORECASE)
_CURSORS = vocabulary("cur curs cursor c conn connection con db dbc")


class SqlParameters(Transform):
    """Hands the values over beside the SQL."""

    name = "sql-parameters"
    cwe = frozenset({20, 74, 89, 564, 943})
    words = ("sql",)
    summary = "Hand values over beside the SQL, not inside of it"
    behaviour = (
        "The driver quotes the values: text with quotation marks now works and None is NULL; a value that is neither text, number, "
        "date nor bytes may need its own adapter where it was turned into text before."
    )
    declines = (
        "The driver is not imported in the file, a value stands for a table, a column or a piece of SQL, is escaped or formatted "
        "in its own way, or the query is put together elsewhere."
    )
    nodes = (cst.Call, cst.Assign)

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Turn `execute("… %s" % x)` into `execute("… ?", (x,))`."""
        call = node if isinstance(node, cst.Call) else _executed_later(node, scene)
        if not isinstance(call, cst.Call) or not isinstance(call.func, cst.Attribute):
            return False
        method = call.func.attr.value
        raw = method == "raw" and ".objects" in scene.code(call.func.value)
        if (method not in ("execute", "executemany", "executescript", "mogrify") and not raw) or not call.args:
            return False
        first = call.args[0]
        if first.star or first.keyword is not None:
            return False
        expression = _query(first.value, scene)
        template = Template.of(expression, scene)
        if template is None:
            raise needs_model("the query is put together in a way that is not understood")
        if not template.holes:
            return False
        if not _VERB.match(template.value):
            raise needs_design("the text is no query that takes parameters")
        if method not in ("execute", "mogrify", "raw") or len(call.args) != 1:
            raise unsafe("the call has parameters already, or cannot take them")
        if not raw:
            _check_receiver(call.func.value, scene)
        marker = "%s" if raw else _marker(scene)
        if marker == "?" and "?" in template.value:
            raise unsafe("the query holds a question mark already")
        unquoted, values = value_places(template, doubly="" if raw or any(map(scene.imports, _ANSI)) else '"')
        try:
            source = template.render([marker] * len(values), Style.percent if marker == "%s" else Style.plain, unquoted=unquoted)
        except TemplateError as error:
            raise unsafe(str(error)) from error
        draft.replace_span(scene.span(expression), _outer(source, expression, scene))
        draft.insert(scene.span(first).end, f", ({', '.join(values)}{',' if len(values) == 1 else ''})")
        return True


def _outer(source: str, expression: cst.BaseExpression, scene: Scene) -> str:
    """Keep a literal of several lines together where the parentheses that did so have gone with the arguments."""
    several = "\n" in re.sub(r'"""[\s\S]*?"""|\'\'\'[\s\S]*?\'\'\'', "", source)
    inside = bool(expression.lpar) or isinstance(scene.parent(expression), cst.Arg)
    return f"({source})" if several and not inside and not source.startswith("(") else source


def _marker(scene: Scene) -> str:
    found = {marker for driver, marker in _DRIVERS.items() if scene.imports(driver)}
    if any(scene.imports(name) for name in _FOREIGN):
        raise ambiguous("the file uses a database layer with a parameter style of its own")
    if len(found) != 1:
        raise ambiguous("the file does not import exactly one database driver, so how it writes parameters is not known")
    return found.pop()


def _check_receiver(node: cst.BaseExpression, scene: Scene) -> None:
    value = scene.value_of(node) or node
    made = value.func.attr.value if isinstance(value, cst.Call) and isinstance(value.func, cst.Attribute) else ""
    last = dotted(node).rpartition(".")[2]
    if made not in ("cursor", "connect") and not words_of(last) & _CURSORS:
        raise ambiguous(f"whether `{scene.code(node)}` is a driver's cursor or connection is not known")


def _query(node: cst.BaseExpression, scene: Scene) -> cst.BaseExpression:
    """Return the query itself, also where a local variable carries it from one statement to a later one of the same block."""
    if not isinstance(node, cst.Name):
        return node
    value = scene.value_of(node)
    if value is None:
        raise needs_model(f"`{node.value}` is put together in several places, or comes from elsewhere")
    template = Template.of(value, scene)
    if template is None or not template.holes:
        raise needs_model(f"how `{node.value}` is put together is not understood")
    found = scene.assignments(node)[0]
    if not isinstance(found, Assignment) or len(found.references) != 1 or found.scope is not scene.scope(node):
        raise unsafe(f"`{node.value}` is used for something else too")
    _check_still_holds(value, node, template, scene)
    return value


def _check_still_holds(value: cst.BaseExpression, use: cst.BaseExpression, template: Template, scene: Scene) -> None:
    """Raise RefusedError where the values could differ between the building of a query and its execution."""
    made, used = scene.line(value), scene.line(use)
    if made is None or used is None or scene.parent(made) is not scene.parent(used):
        raise unsafe("the query is built in one block and executed in another")
    block = list(getattr(scene.parent(made), "body", ()))
    between = block[block.index(made) + 1 : block.index(used)]
    for hole in template.holes:
        if hole.expression is None or _calls(hole.expression):
            raise unsafe(f"`{hole.code}` would be worked out at another moment")
    if any(not _is_harmless(statement) for statement in between):
        raise unsafe("what stands between the query and its execution may change the values")


def _calls(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.Call | cst.Await | cst.Yield | cst.NamedExpr) or any(_calls(child) for child in node.children)


def _is_harmless(statement: cst.CSTNode) -> bool:
    """Return whether a statement is a call for its effect (a log line, a connect), or makes a cursor or connection."""
    if not isinstance(statement, cst.SimpleStatementLine):
        return False
    for item in statement.body:
        if isinstance(item, cst.Assign) and isinstance(item.value, cst.Call) and isinstance(item.value.func, cst.Attribute):
            if item.value.func.attr.value in ("cursor", "connect"):
                continue
            return False
        if not ((isinstance(item, cst.Expr) and isinstance(item.value, cst.Call | cst.SimpleString)) or isinstance(item, cst.Pass)):
            return False
        if (
            isinstance(item, cst.Expr)
            and isinstance(item.value, cst.Call)
            and dotted(item.value.func).split(".")[0] not in ("print", "logger", "log", "logging")
        ):
            return False
    return True


def _executed_later(node: cst.CSTNode, scene: Scene) -> cst.Call | None:
    """Return the call that executes the query which a statement builds, for a finding that points at the building."""
    if not isinstance(node, cst.Assign) or len(node.targets) != 1 or not isinstance(node.targets[0].target, cst.Name):
        return None
    wanted = node.targets[0].target.value
    for other in scene.nodes():
        if not isinstance(other, cst.Call) or not isinstance(other.func, cst.Attribute) or not other.args:
            continue
        first = other.args[0].value
        if isinstance(first, cst.Name) and first.value == wanted and scene.value_of(first) is node.value:
            return other
    return None
