"""Bodies of responses: serializers, links, content negotiation, warnings."""
