from mako.template import Template


def show(text):
    # ruleid: python-mako-no-escape
    Template(text)
    # ok: python-mako-no-escape
    Template(text, default_filters=["h"])
