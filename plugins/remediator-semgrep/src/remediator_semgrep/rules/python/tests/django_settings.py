# ruleid: python-django-debug
DEBUG = True
# ok: python-django-debug
TEMPLATE_DEBUG = False
