"""`manage.py check_policy`: what the path policy says about one request, and why."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from django.conf import settings
from django.core.management.base import CommandError

from flyte_site.auth.policy import ClaimRequirement, Claims, PathPolicy
from flyte_site.scheduler.command import DatabaseCommand


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
        claims = parse_claims(options["claims"])
        is_allowed, reasons = explain_decision(policy, options["method"].upper(), options["path"], claims)
        self.stdout.write("\n".join(["let through" if is_allowed else "401", *(f"  {reason}" for reason in reasons)]))
        if not is_allowed:
            sys.exit(1)


def parse_claims(text: str | None) -> Claims | None:
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


def explain_decision(policy: PathPolicy, method: str, path: str, claims: Claims | None) -> tuple[bool, list[str]]:
    """Whether the request is let through, and why, one reason a line."""
    if method == "OPTIONS":
        return True, ["OPTIONS needs no token anywhere"]
    segments = [unquote(segment) for segment in path.partition("?")[0][1:].split("/")]
    requirement = policy.get_requirement("GET" if method == "HEAD" else method, segments)
    if requirement is None:
        return False, list(_explain_no_rule(policy, segments))
    rule = requirement.rule
    reasons = [f"line {rule.line}: path {rule.pattern.path}, methods {', '.join(rule.methods) or 'all'}"]
    if requirement.is_open:
        return True, [*reasons, "it asks for no claims, so that everybody may, with any token or none"]
    matching_claim = requirement.find_matching_claim(claims) if claims is not None else ""
    return bool(matching_claim), [*reasons, _explain_claims(requirement, claims, matching_claim)]


def _explain_no_rule(policy: PathPolicy, segments: list[str]) -> Iterator[str]:
    rules = policy.find_most_specific(segments)
    if not rules:
        yield "no rule has this path"
    for rule in rules:
        yield f"line {rule.line}: path {rule.pattern.path} is the closest, and only for {', '.join(rule.methods)}"


def _explain_claims(requirement: ClaimRequirement, claims: Claims | None, matching_claim: str) -> str:
    if matching_claim:
        return f"the claim {matching_claim!r} has one of the values that it asks for"
    required = "; ".join(f"{name}: {' or '.join(values) or 'no value at all'}" for name, values in requirement.claims)
    return f"{'no token was given' if claims is None else 'the token has none'}, one of these is needed: {required}"
