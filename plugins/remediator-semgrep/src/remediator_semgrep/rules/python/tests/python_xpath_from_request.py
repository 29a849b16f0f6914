from flask import request


def view(tree):
    name = request.args["name"]
    # ruleid: python-xpath-from-request
    tree.xpath("//user[@name='%s']" % name)
    # ok: python-xpath-from-request
    tree.xpath("//user[@name=$name]", name=name)
