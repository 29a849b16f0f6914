"""A small web service."""
import os
import pickle
import ssl
import tempfile

import requests
from flask import Flask, Markup, make_response, redirect, request

DEBUG = True
PASSWORD = 'correct horse'
app = Flask(__name__)


def fetch(url, verify=False):
    """Return the body of a page."""
    return requests.get(url, verify=verify).text


def context():
    return ssl._create_unverified_context()


@app.route('/hello')
def hello():
    name = request.args.get('name', '')
    return Markup('<b>%s</b>' % name)


@app.route('/session')
def session():
    state = pickle.loads(request.cookies['state'].encode('latin-1'))
    return str(state['user'])


@app.route('/go')
def go():
    return redirect(request.args['to'])


@app.route('/login')
def login():
    response = make_response('ok')
    response.set_cookie('session', os.urandom(8).hex())
    return response


def scratch():
    name = tempfile.mktemp(suffix='.txt')
    return open(name, 'w')


def is_admin(user):
    assert user.role == 'admin'
    return True


if __name__ == '__main__':
    if DEBUG:
        app.logger.info('debugging')
    app.run(debug=True)
