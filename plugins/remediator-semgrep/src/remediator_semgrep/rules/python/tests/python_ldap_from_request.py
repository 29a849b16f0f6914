import ldap
from flask import request
from ldap.filter import escape_filter_chars


def view(connection):
    name = request.args["name"]
    # ruleid: python-ldap-from-request
    connection.search_s("dc=org", ldap.SCOPE_SUBTREE, "(cn=%s)" % name)
    # ok: python-ldap-from-request
    connection.search_s("dc=org", ldap.SCOPE_SUBTREE, "(cn=%s)" % escape_filter_chars(name))
