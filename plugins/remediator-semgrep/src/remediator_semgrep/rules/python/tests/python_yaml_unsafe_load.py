import io
import yaml
import yaml as y
from yaml import load, SafeLoader as Tame

try:
    from yaml import CLoader as FastLoader
except ImportError:
    from yaml import Loader as FastLoader


class Parser:
    def parse(self):
        # ruleid: python-yaml-unsafe-load
        return yaml.load(self.content)

    def parse_all(self, text):
        # ruleid: python-yaml-unsafe-load
        return list(yaml.load_all(text))


def loaders(text):
    # ruleid: python-yaml-unsafe-load
    yaml.load(text, Loader=yaml.Loader)
    # ruleid: python-yaml-unsafe-load
    yaml.load(text, yaml.UnsafeLoader)
    # ruleid: python-yaml-unsafe-load
    y.load(text, Loader=y.CLoader)
    # ruleid: python-yaml-unsafe-load
    yaml.load(text, Loader=FastLoader)
    # ruleid: python-yaml-unsafe-load
    yaml.unsafe_load(text)
    # ruleid: python-yaml-unsafe-load
    load(io.StringIO(text))
    # ruleid: python-yaml-unsafe-load
    yaml.load(stream=text)


def safe(text, loader):
    # ok: python-yaml-unsafe-load
    yaml.load(text, Loader=yaml.SafeLoader)
    # ok: python-yaml-unsafe-load
    yaml.load(text, Loader=yaml.CSafeLoader)
    # ok: python-yaml-unsafe-load
    yaml.load(text, yaml.SafeLoader)
    # ok: python-yaml-unsafe-load
    yaml.safe_load(text)
    # ok: python-yaml-unsafe-load
    yaml.load(text, Loader=Tame)
    # ok: python-yaml-unsafe-load
    yaml.load("a: 1")
    # ok: python-yaml-unsafe-load
    json.load(text)
