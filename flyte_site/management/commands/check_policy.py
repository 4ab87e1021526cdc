"""`manage.py check_policy`: what the path policy says about one request, and why."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from django.conf import settings
from django.core.management.base import CommandError

from flyte_site.auth.policy import Claims, Demand, Policy
from flyte_site.periodic.by_hand import DatabaseCommand


class Command(DatabaseCommand):
    """Asks neither the server nor the provider: the claims are taken as they are given."""

    help = (
        "Tell whether FLYTE_AUTH_POLICY_PATH lets a request through, and which rule decides. "
        "The exit code is 0 if it does, 1 if it does not."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("method", help="such as GET")
        parser.add_argument("path", help="the whole path, such as /v1/packs/Slack/events")
        parser.add_argument("--claims", help='a token\'s claims as JSON, such as \'{"groups": ["dev"]}\'')

    def handle(self, *args: Any, **options: Any) -> None:
        policy = settings.FLYTE_AUTH_POLICY
        if policy is None:
            raise CommandError("FLYTE_AUTH_POLICY_PATH is not set")
        if not options["path"].startswith("/"):
            raise CommandError("a path starts with /")
        claims = read_claims(options["claims"])
        passes, reasons = explained(policy, options["method"].upper(), options["path"], claims)
        self.stdout.write("\n".join(["let through" if passes else "401", *(f"  {reason}" for reason in reasons)]))
        if not passes:
            sys.exit(1)


def read_claims(text: str | None) -> Claims | None:
    """The claims of a token; None for no token. Raises `CommandError`."""
    if text is None:
        return None
    try:
        claims = json.loads(text)
    except ValueError as error:
        raise CommandError(f"--claims is no JSON: {error}") from None
    if not isinstance(claims, dict):
        raise CommandError("--claims must be a JSON object")
    return claims


def explained(policy: Policy, method: str, path: str, claims: Claims | None) -> tuple[bool, list[str]]:
    """Whether the request is let through, and why, one reason a line."""
    if method == "OPTIONS":
        return True, ["OPTIONS needs no token anywhere"]
    segments = [unquote(segment) for segment in path.partition("?")[0][1:].split("/")]
    demand = policy.demand("GET" if method == "HEAD" else method, segments)
    if demand is None:
        return False, list(_no_rule(policy, segments))
    rule = demand.rule
    reasons = [f"line {rule.line}: path {rule.pattern.path}, methods {', '.join(rule.methods) or 'all'}"]
    if demand.is_open:
        return True, [*reasons, "it asks for no claims, so that everybody may, with any token or none"]
    met = demand.met_by(claims) if claims is not None else ""
    return bool(met), [*reasons, _verdict(demand, claims, met)]


def _no_rule(policy: Policy, segments: list[str]) -> Iterator[str]:
    closest = policy.closest(segments)
    if not closest:
        yield "no rule has this path"
    for rule in closest:
        yield f"line {rule.line}: path {rule.pattern.path} is the closest, and only for {', '.join(rule.methods)}"


def _verdict(demand: Demand, claims: Claims | None, met: str) -> str:
    if met:
        return f"the claim {met!r} has one of the values that it asks for"
    wanted = "; ".join(f"{name}: {' or '.join(values) or 'no value at all'}" for name, values in demand.claims)
    return f"{'no token was given' if claims is None else 'the token has none'}, one of these is needed: {wanted}"
