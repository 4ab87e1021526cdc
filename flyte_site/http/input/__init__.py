"""Bodies and parameters of requests: limits, parsing, and fields of serializers."""
