import yaml


def read(text):
    # ruleid: python-yaml-full-loader
    yaml.load(text, Loader=yaml.FullLoader)
    # ruleid: python-yaml-full-loader
    yaml.full_load(text)
    # ok: python-yaml-full-loader
    yaml.load(text, Loader=yaml.SafeLoader)
