# ruleid: python-django-allowed-hosts
ALLOWED_HOSTS = ["*"]
# ok: python-django-allowed-hosts
ALLOWED_HOSTS = ["example.org"]
