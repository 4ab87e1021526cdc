"""A stub mail server: accepts any mail by SMTP (the required subset of RFC 5321), and prints it.

    python -m examples.demo.mail_server

prints its SMTP port, and then each mail as received.
"""

from socketserver import StreamRequestHandler, ThreadingTCPServer

from examples.demo.stand_in import HOST, serve_until_terminated

MAX_LINE_LENGTH = 1000
REPLIES = {b"DATA": "354 end with a dot", b"QUIT": "221 bye"}


class SmtpSession(StreamRequestHandler):
    def handle(self) -> None:
        self.reply("220 demo ready")
        verb = b""
        while verb != b"QUIT" and (line := self.rfile.readline(MAX_LINE_LENGTH)):
            verb = line[:4].upper().strip()
            self.reply(REPLIES.get(verb, "250 fine"))
            if verb == b"DATA":
                self.receive_mail()

    def receive_mail(self) -> None:
        lines = []
        while (line := self.rfile.readline(MAX_LINE_LENGTH)) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        print(b"".join(lines).decode(errors="replace").replace("\r\n", "\n"), flush=True)
        self.reply("250 accepted")

    def reply(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


class SmtpServer(ThreadingTCPServer):
    daemon_threads = True


def main() -> None:
    serve_until_terminated(SmtpServer((HOST, 0), SmtpSession), "{port}")


if __name__ == "__main__":
    main()
