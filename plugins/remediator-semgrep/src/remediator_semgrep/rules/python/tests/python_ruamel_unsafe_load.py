import ruamel.yaml
from ruamel.yaml import YAML


def read(text):
    # ruleid: python-ruamel-unsafe-load
    YAML(typ="unsafe").load(text)
    # ruleid: python-ruamel-unsafe-load
    ruamel.yaml.load(text)
    # ok: python-ruamel-unsafe-load
    YAML(typ="safe").load(text)
    # ok: python-ruamel-unsafe-load
    YAML().load(text)
    # ok: python-ruamel-unsafe-load
    ruamel.yaml.load(text, Loader=ruamel.yaml.SafeLoader)
