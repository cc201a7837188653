"""A proxy before Redis that loses answers."""

import socket
import threading
from contextlib import contextmanager, suppress


@contextmanager
def proxy_that_loses_answers(redis_client, number=1):
    """Pass bytes on to Redis, but cut the first `number` connections that send an EVALSHA.

    Redis runs the script; the connection closes before its answer arrives.
    """
    lost = []

    def serve(client, upstream):
        with client, upstream, suppress(OSError):
            while request := client.recv(65536):
                upstream.sendall(request)
                answer = upstream.recv(65536)
                if b"EVALSHA" in request and b"NOSCRIPT" not in answer and len(lost) < number:
                    lost.append(request)
                    return
                client.sendall(answer)

    def accept():
        with suppress(OSError):
            while True:
                pair = listener.accept()[0], socket.create_connection(("127.0.0.1", port))
                threading.Thread(target=serve, args=pair, daemon=True).start()

    port = redis_client.connection_pool.connection_kwargs["port"]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0", lost
        listener.shutdown(socket.SHUT_RDWR)
