"""The tag `append`, which collects values in a list, for example in a loop."""

from flows.template.compilation import RenderFunc
from flows.template.errors import LocatedError
from flows.template.lexer import NAME
from flows.template.parser import Tag, TagParser, TemplateParser
from flows.template.runtime.collecting import append_value
from flows.template.runtime.render_context import Scope
from flows.template.runtime.resolve import get_type_name
from flows.template.runtime.values import CollectedList


def parse_append(parser: TemplateParser, tag: Tag) -> RenderFunc:
    """Parse `{% append value to name %}`: add the value to the end of the list of this name.

    The list is the one that `set` has assigned, or else an empty one, which belongs to the whole template.
    """
    stream, offset = tag.arguments, tag.token.offset
    evaluate = parser.make_expression_parser(stream).parse_expression().evaluate
    if not stream.accept_word(NAME, "to"):
        raise stream.make_unexpected_token_error("'to' and the name of a list")
    name = parser.compilation.declare_name(stream.expect(NAME, "the name of a list"))
    parser.compilation.collected_names.add(name)
    stream.expect_end("'%}'")

    def render(scope: Scope) -> str:
        value, collected = evaluate(scope), scope.local_variables.get(name)
        if not isinstance(collected, CollectedList):
            hint = f": copy it with {{% set {name} = {name} %}}" if isinstance(collected, list) else ""
            raise LocatedError(f"cannot append to '{name}', which is {get_type_name(collected)} here{hint}", offset)
        append_value(collected, value, scope.render_context, offset)
        return ""

    return render


COLLECT_TAGS: dict[str, TagParser] = {"append": parse_append}
