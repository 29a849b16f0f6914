import marshal


def read(file, data):
    # ruleid: python-marshal-load
    marshal.load(file)
    # ruleid: python-marshal-load
    marshal.loads(data)
    # ok: python-marshal-load
    marshal.dumps(data)
    # ok: python-marshal-load
    marshal.loads(marshal.dumps(data))
