"""A stand-in for S3 (moto) on loopback that answers each request after a pause, as a distant store does."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server


def serve(pause_s: float) -> None:
    """Serve on a free port of 127.0.0.1 until standard input ends; the port is the first line of the output."""
    app = DomainDispatcherApplication(create_backend_app)

    def paused(environment: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        time.sleep(pause_s)
        return app(environment, start)

    server = make_server("127.0.0.1", 0, paused, threaded=True)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    import threading

    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    serve(float(sys.argv[1]))
