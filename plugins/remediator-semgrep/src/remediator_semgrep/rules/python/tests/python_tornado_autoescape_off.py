import tornado.web

# ruleid: python-tornado-autoescape-off
tornado.web.Application([], autoescape=None)
# ok: python-tornado-autoescape-off
tornado.web.Application([])
