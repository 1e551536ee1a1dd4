"""A hub of weights on loopback that signs by itself, behind a proxy: names lead nowhere without the proxy."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Handshakes that the client breaks off are wanted here."""


@dataclass
class FakeHub:
    proxy: str
    """Its address, for HTTPS_PROXY."""
    certificates: Path
    """What SSL_CERT_FILE must name."""
    tunnels: list[str] = field(default_factory=list)
    """host:port of every tunnel that the proxy was asked for."""
    requests: list[str] = field(default_factory=list)
    """Method and path of everything that reached the hub."""


@contextlib.contextmanager
def fake_hub(folder: Path, files: dict[str, bytes], *names: str) -> Iterator[FakeHub]:
    """Serves `files` (by the last part of the path) for all of `names`."""
    folder.mkdir(parents=True, exist_ok=True)
    certificate, key = _signed_by_itself(folder, names)

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, *, with_body: bool) -> None:
            hub.requests.append(f"{self.command} {self.path}")
            body = files.get(self.path.partition("?")[0].rpartition("/")[2])
            self.send_response(404 if body is None else 200)
            if body is None:
                self.send_header("X-Error-Code", "EntryNotFound")
            else:
                self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
                self.send_header("X-Repo-Commit", "0" * 40)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            if with_body and body is not None:
                self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    class Proxy(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            hub.tunnels.append(self.path)
            with socket.create_connection(server.server_address[:2]) as inner:
                self.send_response(200)
                self.end_headers()
                back = threading.Thread(target=_pump, args=(inner, self.connection), daemon=True)
                back.start()
                _pump(self.connection, inner)
                back.join()
            self.close_connection = True

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server, proxy = _Quiet(("127.0.0.1", 0), Hub), _Quiet(("127.0.0.1", 0), Proxy)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    hub = FakeHub(f"http://127.0.0.1:{proxy.server_address[1]}", certificate)
    for each in (server, proxy):
        threading.Thread(target=each.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield hub
    finally:
        for each in (proxy, server):
            each.shutdown()
            each.socket.close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _signed_by_itself(folder: Path, names: tuple[str, ...]) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An institution's proxy")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(own)
        .issuer_name(own)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    shown, kept = folder / "certificate.pem", folder / "key.pem"
    shown.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    kept.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return shown, kept
