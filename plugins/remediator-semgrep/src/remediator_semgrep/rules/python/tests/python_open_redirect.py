from django.http import HttpResponseRedirect
from flask import redirect, request, url_for


def one():
    # ruleid: python-open-redirect
    return redirect(request.args.get("next"))


def also():
    # ruleid: python-open-redirect
    return redirect("/" + request.args["next"])


def hosts():
    # ruleid: python-open-redirect
    return redirect(f"https://{request.args['host']}/")


def two(request):
    target = request.GET["next"]
    # ruleid: python-open-redirect
    return HttpResponseRedirect(target)


def safe():
    # ok: python-open-redirect
    redirect("/home")
    # ok: python-open-redirect
    redirect("/entry/" + request.args["id"])
    # ok: python-open-redirect
    redirect(f"/entry/{request.args['id']}")
    # ok: python-open-redirect
    redirect(f"https://example.org/{request.args['id']}")
    # ok: python-open-redirect
    redirect(url_for("view", id=request.args["id"]))
