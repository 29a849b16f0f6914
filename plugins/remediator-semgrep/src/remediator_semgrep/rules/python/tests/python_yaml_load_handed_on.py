import yaml


# ruleid: python-yaml-load-handed-on
def read(stream, loader=yaml.load):
    return loader(stream)


# ok: python-yaml-load-handed-on
def read_plain(stream, loader=yaml.safe_load):
    return loader(stream)
