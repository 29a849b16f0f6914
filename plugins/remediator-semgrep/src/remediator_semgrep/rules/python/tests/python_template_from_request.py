from flask import render_template, render_template_string, request
from jinja2 import Template


def view():
    name = request.args["name"]
    # ruleid: python-template-from-request
    render_template_string("Hello " + name)
    # ruleid: python-template-from-request
    Template(f"Hello {name}").render()
    # ok: python-template-from-request
    render_template_string("Hello {{ name }}", name=name)
    # ok: python-template-from-request
    render_template("page.html", name=name)
