from django.http import HttpResponse
from django.utils.html import escape
from django.utils.safestring import mark_safe
from flask import make_response, request as asked


def one(request):
    name = request.GET["name"]
    # ruleid: python-html-from-request
    mark_safe(name)
    # ruleid: python-html-from-request
    HttpResponse("<b>" + name + "</b>")
    # ok: python-html-from-request
    mark_safe(escape(name))
    # ok: python-html-from-request
    HttpResponse(name, content_type="text/plain")


def two():
    # ruleid: python-html-from-request
    return make_response("<p>%s</p>" % asked.args["x"])
