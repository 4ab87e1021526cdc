"""Lists that `{% append %}` fills. Their size is limited, because items can be repeated at no cost."""

from collections.abc import Iterable

from flows.template.errors import LocatedError
from flows.template.limits import MAX_COLLECTED_DEPTH
from flows.template.runtime.render_context import RenderContext
from flows.template.runtime.values import CollectedList

# The size of a number, a time or a missing value.
SCALAR_SIZE = 8


def copy_to_collected(values: list[object], render_context: RenderContext, offset: int) -> CollectedList:
    """Return a copy of the list that `append` can add to."""
    render_context.charge(len(values), offset)
    if isinstance(values, CollectedList):
        return values.copy_collected()
    collected = CollectedList()
    for value in values:
        append_value(collected, value, render_context, offset)
    return collected


def append_value(collected: CollectedList, value: object, render_context: RenderContext, offset: int) -> None:
    """Append the value. Raises LocatedError if the list becomes too large, or lists are nested too deeply."""
    if isinstance(value, CollectedList):
        render_context.charge(len(value), offset)
        value = value.copy_collected()
        collected.depth = max(collected.depth, value.depth + 1)
    collected.size += _measure(value, render_context, offset)
    if collected.size > render_context.limits.text_length:
        raise LocatedError(f"list is too large (more than {render_context.limits.text_length:,} characters)", offset)
    if collected.depth > MAX_COLLECTED_DEPTH:
        raise LocatedError(f"lists are nested too deeply (more than {MAX_COLLECTED_DEPTH} levels)", offset)
    collected.append(value)


def _measure(value: object, render_context: RenderContext, offset: int) -> int:
    """Return about how many characters the value prints."""
    size, pending = 0, [value]
    while pending:
        item = pending.pop()
        render_context.charge(1, offset)
        size += SCALAR_SIZE
        if isinstance(item, str):
            size += len(item)
        elif isinstance(item, CollectedList):
            size += item.size
        elif isinstance(item, list | dict):
            children: Iterable[object] = item if isinstance(item, list) else (*item.keys(), *item.values())
            pending.extend(children)
    return size
