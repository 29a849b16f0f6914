import jinja2
from jinja2 import Environment, select_autoescape

# ruleid: python-jinja-autoescape-off
Environment(loader=None)
# ruleid: python-jinja-autoescape-off
jinja2.Environment(autoescape=False)
# ok: python-jinja-autoescape-off
Environment(autoescape=True)
# ok: python-jinja-autoescape-off
Environment(loader=None, autoescape=select_autoescape())
