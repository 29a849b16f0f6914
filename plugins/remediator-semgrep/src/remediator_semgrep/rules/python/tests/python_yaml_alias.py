import yaml
from yaml import SafeLoader as Loader


def safe(text):
    # ok: python-yaml-unsafe-load
    return yaml.load(text, Loader=Loader)
