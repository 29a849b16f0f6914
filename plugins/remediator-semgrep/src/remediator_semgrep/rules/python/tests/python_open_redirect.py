from django.http import HttpResponseRedirect
from flask import redirect, request, url_for


def one():
    # ruleid: python-open-redirect
    return redirect(request.args.get("next"))


def two(request):
    target = request.GET["next"]
    # ruleid: python-open-redirect
    return HttpResponseRedirect(target)


def safe():
    # ok: python-open-redirect
    redirect("/home")
    # ok: python-open-redirect
    redirect(url_for("view", id=request.args["id"]))
