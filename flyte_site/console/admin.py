"""What the console's pages of objects share: their history is that of `flyte_site.changes`."""

from typing import TYPE_CHECKING, Any

from django.contrib.admin import ModelAdmin
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode

from flyte_site.changes import person, record

if TYPE_CHECKING:
    Pages = ModelAdmin[Any]
else:
    Pages = ModelAdmin


class ConsoleAdmin(Pages):
    """A model's pages. What is done on them is recorded under `kind` and what `key_of` gives.

    `empty_words` stand in a list where there is nothing yet.
    """

    kind = ""
    empty_words = ""
    show_full_result_count = False
    actions = None

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """As Django's, without its buttons for things in windows of their own."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and isinstance(field.widget, RelatedFieldWidgetWrapper):
            field.widget = field.widget.widget
        return field

    def key_of(self, thing: Model) -> str:
        return str(thing)

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        record(person(request), "created", self.kind, self.key_of(obj))

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        fields = [name for part in message if "changed" in part for name in part["changed"].get("fields", [])]
        if fields:
            record(person(request), "changed", self.kind, self.key_of(obj), fields=fields)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        for one in queryset:
            record(person(request), "deleted", self.kind, self.key_of(one))

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The changes of this thing."""
        thing = self.get_object(request, object_id)
        query = urlencode({"kind": self.kind, "key": self.key_of(thing) if thing else object_id})
        return HttpResponseRedirect(f"{reverse('admin:flyte_site_change_changelist')}?{query}")
