def read(query, name):
    # ruleid: python-django-extra-sql
    query.extra(where=["name = '%s'" % name])
    # ruleid: python-django-extra-sql
    query.extra(select={"mine": f"owner = '{name}'"})
    # ok: python-django-extra-sql
    query.extra(where=["name = %s"], params=[name])
