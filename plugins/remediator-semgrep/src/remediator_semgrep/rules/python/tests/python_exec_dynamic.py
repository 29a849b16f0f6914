def run(text, path, scope):
    # ruleid: python-exec-dynamic
    exec(text)
    # ruleid: python-exec-dynamic
    exec("import " + text, scope)
    # ok: python-exec-dynamic
    exec("x = 1")
    # ok: python-exec-dynamic
    exec(open(path).read(), scope)
    # ok: python-exec-dynamic
    exec(compile(open(path).read(), path, "exec"), scope)
    # ok: python-exec-dynamic
    cursor.exec(text)
