import shelve


def read(path):
    # ruleid: python-shelve-open
    shelf = shelve.open(path)
    # ok: python-shelve-open
    file = open(path)
