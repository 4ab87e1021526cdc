"""A stand-in for Slack, as far as a bot needs it that only posts: https://api.slack.com/methods/chat.postMessage.

    python -m examples.demo.slack_channel

prints the address of its API, and then each message that is posted. Any token of a bot is taken.
"""

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from examples.demo.counterpart import HOST, serve


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self.headers.get("Authorization", "").startswith("Bearer xoxb-"):
            self.answer({"ok": False, "error": "not_authed"})
        elif self.path == "/api/auth.test":
            self.answer({"ok": True, "user_id": "UFLYTE", "bot_id": "BFLYTE"})
        elif self.path == "/api/chat.postMessage":
            self.answer(self.post(json.loads(content)))
        else:
            self.answer({"ok": False, "error": "unknown_method"})

    def post(self, message: dict[str, str]) -> dict[str, Any]:
        print(f"[{message['channel']}] {message['text']}", flush=True)
        return {"ok": True, "channel": message["channel"], "ts": f"{time.time():.6f}"}

    def answer(self, value: dict[str, Any]) -> None:
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def main() -> None:
    serve(ThreadingHTTPServer((HOST, 0), Handler), f"http://{HOST}:{{port}}/api")


if __name__ == "__main__":
    main()
