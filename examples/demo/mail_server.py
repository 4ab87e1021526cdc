"""A stand-in for a mail server: it takes any mail (RFC 5321, as far as that needs it), and prints it.

    python -m examples.demo.mail_server

prints the port where it speaks SMTP, and then each mail, as it came.
"""

from socketserver import StreamRequestHandler, ThreadingTCPServer

from examples.demo.counterpart import HOST, serve

LONGEST_LINE = 1000
ANSWERS = {b"DATA": "354 end it with a dot", b"QUIT": "221 bye"}


class Session(StreamRequestHandler):
    def handle(self) -> None:
        self.answer("220 demo ready")
        verb = b""
        while verb != b"QUIT" and (line := self.rfile.readline(LONGEST_LINE)):
            verb = line[:4].upper().strip()
            self.answer(ANSWERS.get(verb, "250 fine"))
            if verb == b"DATA":
                self.take()

    def take(self) -> None:
        lines = []
        while (line := self.rfile.readline(LONGEST_LINE)) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        print(b"".join(lines).decode(errors="replace").replace("\r\n", "\n"), flush=True)
        self.answer("250 taken")

    def answer(self, words: str) -> None:
        self.wfile.write(f"{words}\r\n".encode())


class Server(ThreadingTCPServer):
    daemon_threads = True


def main() -> None:
    serve(Server((HOST, 0), Session), "{port}")


if __name__ == "__main__":
    main()
