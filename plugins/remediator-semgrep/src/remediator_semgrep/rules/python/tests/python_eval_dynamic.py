import ast


def read(text):
    # ruleid: python-eval-dynamic
    eval(text)
    # ruleid: python-eval-dynamic
    value = eval("f(%s)" % text, {"__builtins__": {}})
    # ruleid: python-eval-dynamic
    eval(f"{text} + 1")
    # ok: python-eval-dynamic
    eval("1 + 1")
    # ok: python-eval-dynamic
    ast.literal_eval(text)
    # ok: python-eval-dynamic
    model.eval()
    # ok: python-eval-dynamic
    frame.eval(text)
