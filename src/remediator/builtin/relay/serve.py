"""Inside: takes HTTP requests on the loopback, keeps each in the folder, and waits for its answer there."""

import base64
import http.server
import itertools
import json
import os
import socketserver
import sys
import threading
import time

FOLDER, PORT = sys.argv[1], int(sys.argv[2])
MOST_BYTES, MOST_WAITING = 16 * 1024 * 1024, 16
os.umask(0o077)
os.mkdir(FOLDER)
numbers, one_at_a_time = itertools.count(1), threading.Lock()  # two requests under one name would get each other's answers


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(b"")

    do_HEAD = do_GET

    def do_POST(self):
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MOST_BYTES:
            self.send_error(413)
            return
        self.answer(self.rfile.read(int(length)))

    def answer(self, body):
        if len(os.listdir(FOLDER)) > MOST_WAITING:
            self.send_error(503)
            return
        with one_at_a_time:
            name = str(next(numbers))
        request = {"id": name, "method": self.command, "path": self.path[:500], "body": base64.b64encode(body).decode("ascii")}
        put(f"{FOLDER}/{name}.ask", json.dumps(request).encode("ascii"))
        path = f"{FOLDER}/{name}.answer"
        while not os.path.exists(path):
            time.sleep(0.03)
        with open(path, "rb") as file:
            told = json.load(file)
        os.unlink(path)
        data = base64.b64decode(told["body"])
        self.send_response(told["status"])
        self.send_header("Content-Type", told["type"])
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *words):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    allow_reuse_address = True


def put(path, data):
    with open(path + ".part", "wb") as file:
        file.write(data)
    os.rename(path + ".part", path)


server = Server(("127.0.0.1", PORT), Handler)
put(f"{FOLDER}/ready", b"")
server.serve_forever()
