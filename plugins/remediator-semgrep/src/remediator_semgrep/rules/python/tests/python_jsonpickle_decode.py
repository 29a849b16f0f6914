import jsonpickle


def read(data):
    # ruleid: python-jsonpickle-decode
    jsonpickle.decode(data)
    # ok: python-jsonpickle-decode
    jsonpickle.encode(data)
    # ok: python-jsonpickle-decode
    jsonpickle.decode(jsonpickle.encode(data))
