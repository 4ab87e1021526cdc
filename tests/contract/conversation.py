"""Replay of the recorded requests to a live server, byte for byte, and comparison of its responses."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection

from tests.contract.comparison import Comparison
from tests.contract.differences import Expectation
from tests.contract.recording import Exchange, ExchangeResponse, parsed
from tests.server import Server

ANSWER_SECONDS = 30.0

Authorization = Callable[[Exchange], Mapping[str, str]]
"""The headers to send for the token of a recorded request."""


@dataclass
class Conversation:
    """A conversation with a server: ids captured from its responses are used in later paths."""

    server: Server
    captured: dict[str, str] = field(default_factory=dict)
    authorization: Authorization = field(default=lambda exchange: {})

    def send(self, exchange: Exchange) -> ExchangeResponse:
        """Send the request as recorded, on a new connection."""
        connection = HTTPConnection(self.server.host, timeout=ANSWER_SECONDS)
        try:
            path = re.sub(r"\{\{(\w+)\}\}", lambda name: self.captured[name[1]], exchange.path_template)
            body = None if exchange.request_body is None else exchange.request_body.encode()
            headers = {**exchange.request_headers, **self.authorization(exchange)}
            connection.request(exchange.method, path, body, headers)
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        self._capture(exchange, text)
        headers = {name.title(): value for name, value in response.getheaders()}
        return ExchangeResponse(response.status, headers, parsed(exchange.path, headers.get("Content-Type", ""), text))

    def _capture(self, exchange: Exchange, text: str) -> None:
        for name, pattern in exchange.captures.items():
            match = re.search(pattern, text)
            if match:
                self.captured[name] = match[1]


def replay(
    server: Server, expectations: list[Expectation], authorization: Authorization = lambda exchange: {}
) -> dict[str, list[str]]:
    """Send all requests in order; return the differences by the name of the exchange."""
    conversation, comparison = Conversation(server, authorization=authorization), Comparison(server.host)
    differences = {}
    for expectation in expectations:
        try:
            answer = conversation.send(expectation.exchange)
        except (OSError, KeyError) as error:  # no response, or an id is missing because an earlier response was wrong
            differences[expectation.exchange.name] = [f"no answer: {error!r}"]
            continue
        differences[expectation.exchange.name] = comparison.differences(expectation.answer, answer)
    return differences
