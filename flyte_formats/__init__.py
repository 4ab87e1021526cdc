"""Text formats that the server and the client library share: encodings, control characters, JSON, output."""
