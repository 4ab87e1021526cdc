"""Base class of the console's model pages, which use the activity log (`flyte_site.auth.activity_log`)."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.contrib.admin import ModelAdmin
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode

from flyte_site.auth.activity_log import actor_of_user, log_activity
from flyte_site.console.filter_forms import SearchForm

if TYPE_CHECKING:
    ModelAdminBase = ModelAdmin[Any]
else:
    ModelAdminBase = ModelAdmin


class ConsoleModelAdmin(ModelAdminBase):
    """Pages of a model. Changes are recorded in the activity log under `log_kind` and `get_log_key`.

    Pages call an object `kind`; `log_kind` differs only if stored entries have a different word.
    An empty list shows `empty_message`. `filter_form` checks the query string of the list.
    """

    kind = log_kind = ""
    empty_message = ""
    filter_form: type[SearchForm] = SearchForm
    show_full_result_count = False
    actions = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.log_kind = cls.log_kind or cls.kind

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Return Django's form field without the buttons that open pop-ups for related objects."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and isinstance(field.widget, RelatedFieldWidgetWrapper):
            field.widget = field.widget.widget
        return field

    def build_url(self, route: str, view: Callable[..., HttpResponse], name: str, model_name: str = "") -> URLPattern:
        """Build the URL of a page for signed-in users, named as Django names its own; the view checks permissions."""
        names = self.model._meta.app_label, model_name or self.model._meta.model_name, name
        return path(route, self.admin_site.admin_view(view), name="_".join(map(str, names)))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Render the list; with an invalid or unknown filter only the errors, where Django would list everything."""
        form = self.filter_form(request.GET)
        if not form.is_valid():
            request.GET = QueryDict()
        return super().changelist_view(request, {"form": form, **(extra_context or {})})

    def get_log_key(self, obj: Model) -> str:
        return str(obj)

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        log_activity(actor_of_user(request), "created", self.log_kind, self.get_log_key(obj))

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        fields = [name for part in message if "changed" in part for name in part["changed"].get("fields", [])]
        if fields:
            log_activity(actor_of_user(request), "changed", self.log_kind, self.get_log_key(obj), fields=fields)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        for obj in queryset:
            log_activity(actor_of_user(request), "deleted", self.log_kind, self.get_log_key(obj))

    def render_delete_form(self, request: HttpRequest, context: dict[str, Any]) -> Any:
        """Render the confirmation, which names the kind of the object."""
        return super().render_delete_form(request, {**context, "kind": self.kind})

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Redirect to the activity log of this object."""
        obj = self.get_object(request, object_id)
        query = urlencode({"kind": self.log_kind, "key": self.get_log_key(obj) if obj else object_id})
        return HttpResponseRedirect(f"{reverse('admin:flyte_site_change_changelist')}?{query}")
