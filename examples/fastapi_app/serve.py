"""Serve the app on a socket that the demo has opened: ``python serve.py NUMBER``.

By hand, without the demo, it is ``uvicorn app.main:app``.
"""

import socket
import sys

import uvicorn

if __name__ == "__main__":
    # The demo keeps the port, so nobody else can take it before uvicorn does.
    listener = socket.socket(fileno=int(sys.argv[1]))
    # An open page follows its jobs for ever: do not wait for it to be closed.
    config = uvicorn.Config("app.main:app", access_log=False, timeout_graceful_shutdown=3)
    uvicorn.Server(config).run(sockets=[listener])
