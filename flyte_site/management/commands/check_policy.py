"""`manage.py check_policy`: evaluate the path policy for one request, and explain the decision."""

import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from django.conf import settings
from django.core.management.base import CommandError

from flyte_formats.json_text import parse_json
from flyte_site.auth.policy import ClaimRequirement, Claims, PathPolicy
from flyte_site.scheduler.command import DatabaseCommand


class Command(DatabaseCommand):
    """The command that evaluates the policy without the server or the provider; it does not verify the claims."""

    help = (
        "Check whether the path policy allows a request. Print the rule of FLYTE_AUTH_POLICY_PATH that decides. "
        "The exit code is 0 if the request is allowed, else 1."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("method", help="HTTP method, such as GET")
        parser.add_argument("path", help="the whole path, such as /v1/packs/Slack/events")
        parser.add_argument("--claims", help='a token\'s claims as JSON, such as \'{"groups": ["dev"]}\'')

    def handle(self, *args: Any, **options: Any) -> None:
        policy = settings.FLYTE_AUTH_POLICY
        if policy is None:
            raise CommandError("FLYTE_AUTH_POLICY_PATH is not set")
        if not options["path"].startswith("/"):
            raise CommandError(f"invalid path {options['path']!r}: it must start with /")
        claims = parse_claims(options["claims"])
        is_allowed, reasons = explain_decision(policy, options["method"].upper(), options["path"], claims)
        self.stdout.write("\n".join(["allowed" if is_allowed else "401", *(f"  {reason}" for reason in reasons)]))
        if not is_allowed:
            sys.exit(1)


def parse_claims(text: str | None) -> Claims | None:
    """Parse the claims of a token; None for no token. Raises `CommandError`."""
    if text is None:
        return None
    try:
        claims = parse_json(text)
    except ValueError as error:
        raise CommandError(f"--claims: invalid JSON: {error}") from None
    if not isinstance(claims, dict):
        raise CommandError("--claims: must be a JSON object")
    return claims


def explain_decision(policy: PathPolicy, method: str, path: str, claims: Claims | None) -> tuple[bool, list[str]]:
    """Return whether the request is allowed, and the reasons, one per line."""
    if method == "OPTIONS":
        return True, ["OPTIONS never needs a token"]
    segments = [unquote(segment) for segment in path.partition("?")[0][1:].split("/")]
    requirement = policy.get_requirement("GET" if method == "HEAD" else method, segments)
    if requirement is None:
        return False, list(_explain_no_rule(policy, segments))
    rule = requirement.rule
    reasons = [f"line {rule.line}: path {rule.pattern.path}, methods {', '.join(rule.methods) or 'all'}"]
    if requirement.is_open:
        return True, [*reasons, "it requires no claims, so everyone is allowed, with or without a token"]
    matching_claim = requirement.find_matching_claim(claims) if claims is not None else ""
    return bool(matching_claim), [*reasons, _explain_claims(requirement, claims, matching_claim)]


def _explain_no_rule(policy: PathPolicy, segments: list[str]) -> Iterator[str]:
    rules = policy.find_most_specific(segments)
    if not rules:
        yield "no rule matches this path"
    for rule in rules:
        methods = ", ".join(rule.methods)
        yield f"line {rule.line}: path {rule.pattern.path} is the most specific match, but only for {methods}"


def _explain_claims(requirement: ClaimRequirement, claims: Claims | None, matching_claim: str) -> str:
    if matching_claim:
        return f"the claim {matching_claim!r} has one of the required values"
    required = "; ".join(f"{name}: {' or '.join(values) or 'no value'}" for name, values in requirement.claims)
    problem = "no token" if claims is None else "the token has none of the required claims"
    return f"{problem}; one of these is required: {required}"
