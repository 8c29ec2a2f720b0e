#!/usr/bin/python3
"""kdcproxy behind TLS on a free port of 127.0.0.1: kkdcp.py CERTIFICATE KEY.

KDCPROXY_CONFIG names kdcproxy's configuration. The first line of the output is `listening PORT`, then one line
for each request: `METHOD PATH CONTENT-TYPE STATUS`. It ends with whoever started it.
"""
import os
import socketserver
import ssl
import sys
import threading
import time
from wsgiref import simple_server

# Debian's package is for the system's Python, whichever one runs this.
sys.path.append("/usr/lib/python3/dist-packages")
import kdcproxy  # noqa: E402


class Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    daemon_threads = True


class Quiet(simple_server.WSGIRequestHandler):
    def log_message(self, *_):
        pass


def told(environment, start_response):
    def start(status, headers, *rest):
        if environment["PATH_INFO"] == "/elsewhere":
            status, headers = "307 Temporary Redirect", [("Location", "/KdcProxy")]
        print(environment["REQUEST_METHOD"], environment["PATH_INFO"], environment.get("CONTENT_TYPE"), status[:3],
              flush=True)
        return start_response(status, headers, *rest)

    return kdcproxy.application(environment, start)


certificate, key = sys.argv[1:3]
server = simple_server.make_server("127.0.0.1", 0, told, Server, Quiet)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print("listening", server.server_port, flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
parent = os.getppid()
while os.getppid() == parent:
    time.sleep(0.5)
