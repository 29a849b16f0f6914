from django.utils.safestring import mark_safe
from markupsafe import Markup


def show(name):
    # ruleid: python-mark-safe-built
    mark_safe("<b>%s</b>" % name)
    # ruleid: python-mark-safe-built
    Markup(f"<b>{name}</b>")
    # ok: python-mark-safe-built
    mark_safe("<b>fixed</b>")
    # ok: python-mark-safe-built
    Markup("<b>%s</b>") % name
