# SPDX-License-Identifier: GPL-2.0-or-later
"""What the boot tests offer guests on this machine: free ports, files over HTTP."""
import contextlib
import functools
import http.server
import socket
import threading


class Handler(http.server.SimpleHTTPRequestHandler):
    """@elsewhere: address of a server that has what lies below /pool."""

    def __init__(self, *args, elsewhere=None, **kwargs):
        self.elsewhere = elsewhere
        super().__init__(*args, **kwargs)

    def log_message(self, *args):   # pylint: disable=arguments-differ
        pass

    def copyfile(self, source, outputfile):
        with contextlib.suppress(ConnectionError):      # the guest went back in time
            super().copyfile(source, outputfile)

    def send_head(self):
        if not self.elsewhere or not self.path.startswith("/pool/"):
            return super().send_head()
        self.send_response(302)
        self.send_header("Location", self.elsewhere.rstrip("/") + self.path)
        self.end_headers()
        return None


@contextlib.contextmanager
def served(folder, elsewhere=None):
    """Port of an HTTP server for the folder's files."""
    handler = functools.partial(Handler, directory=folder, elsewhere=elsewhere)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]
