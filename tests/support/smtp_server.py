"""A mail server on this machine that speaks real SMTP over real TLS and refuses what a server refuses."""

from __future__ import annotations

import base64
import ssl
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def certificate(folder: Path, host: str = "127.0.0.1") -> Path:
    """A file with a new key and a certificate for `host`, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / f"smtp-{host}.pem"
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


class MailServer:
    """Takes mails. answers: SMTP answers by command (`MAIL`, `RCPT name@host`, `DATA`, `.`), of the next time each comes;
    an empty one closes the connection. login: user and password that it demands; starttls: whether it offers TLS."""

    def __init__(self, cert: Path, *, implicit: bool = False, starttls: bool = True) -> None:
        self.mails: list[str] = []
        self.answers: dict[str, list[str]] = {}
        self.login: tuple[str, str] | None = None
        self.plain: list[str] = []
        """What came before TLS."""
        self.connections = 0
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert)
        mine = self

        class Handler(StreamRequestHandler):
            def handle(self) -> None:
                mine.connections += 1
                with suppress(OSError):
                    mine.serve(self, context, implicit, starttls)

        self.server = ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = int(self.server.server_address[1])
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def serve(self, handler: StreamRequestHandler, context: ssl.SSLContext, implicit: bool, starttls: bool) -> None:
        """One connection."""
        sock = context.wrap_socket(handler.request, server_side=True) if implicit else handler.request
        secure, known, lines = implicit, False, sock.makefile("rb")

        def say(text: str) -> None:
            sock.sendall(text.encode() + b"\r\n")

        def answer(command: str, default: str) -> bool:
            """Whether it was accepted."""
            planned = self.answers.get(command) or []
            text = planned.pop(0) if planned else default
            if not text:
                sock.close()
                raise OSError("closed")
            say(text)
            return text[0] in "23"

        say("220 test ESMTP")
        while raw := lines.readline():
            line = raw.decode("utf-8", "replace").strip()
            word = line.split(" ")[0].upper()
            if not secure:
                self.plain.append(line)
            if word in ("EHLO", "HELO"):
                offers = ["test"] + ([] if secure or not starttls else ["STARTTLS"])
                offers += ["AUTH PLAIN"] if secure and self.login else []
                for n, offer in enumerate(offers):
                    say(f"250{' ' if n == len(offers) - 1 else '-'}{offer}")
            elif word == "STARTTLS" and starttls and not secure:
                say("220 go on")
                sock = context.wrap_socket(sock, server_side=True)
                secure, lines = True, sock.makefile("rb")
            elif word == "AUTH":
                given = base64.b64decode(line.split(" ")[2]).decode().split("\0")[1:]
                known = tuple(given) == self.login
                answer("AUTH", "235 ok" if known else f"535 5.7.8 bad login {given}")
            elif not secure or (self.login and not known and word == "MAIL"):
                say("530 first STARTTLS and AUTH")
            elif word == "RCPT":
                answer(f"RCPT {line.split('<')[1].rstrip('>')}", "250 ok")
            elif word == "DATA":
                if answer("DATA", "354 go on"):
                    text = b""
                    while (part := lines.readline()) not in (b".\r\n", b""):
                        text += part
                    taken = (self.answers.get(".") or ["250"])[0]
                    if not taken or taken.startswith("2"):
                        self.mails.append(text.decode())
                    answer(".", "250 taken")
            elif word == "QUIT":
                say("221 bye")
                return
            else:
                answer(word, "250 ok")
