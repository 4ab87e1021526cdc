"""The console's pages of datastore items: view, edit, upload and download values."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models.functions import Length
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.defaultfilters import filesizeformat, truncatechars
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from datastore import service
from datastore.content_types import make_value_response
from datastore.forms import ItemForm
from datastore.models import Item
from datastore.value_checks import is_json_of_other_type
from flyte_site.auth.activity_log import actor_of_user
from flyte_site.console.model_admin import ConsoleModelAdmin
from flyte_site.core.secrets.redaction import MASK
from flyte_site.templatetags.console import ago

JSON_OF_OTHER_TYPE = "The value is JSON, but its content type is {}: templates read it as text, not as a map or list."
MAX_DESCRIPTION_IN_LIST = 160
"""Length of a description in the list; the form shows all of it."""


@admin.register(Item)
class ItemAdmin(ConsoleModelAdmin):
    """The pages of items. `datastore.service` writes them and records who did."""

    kind = "datastore item"
    form = ItemForm
    list_display = ("key", "content_type", "is_secret", "size", "description_preview", "updated")
    search_fields = ("key", "description")
    search_help_text = "Key or description"
    empty_message = (
        "Items are values that flows share, such as a token or who is on duty."
        " Templates read them with datastore('key')."
    )
    ordering = ("key",)
    list_per_page = 100
    fieldsets = ((None, {"fields": ("key", "content_type", "description", "secret", "text", "file")}),)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return super().changelist_view(request, {"title": "Datastore", **(extra_context or {})})

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).annotate(bytes=Length("value"))

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changelist = super().get_changelist_instance(request)
        changelist.result_list = changelist.result_list.defer("value")
        return changelist

    def get_urls(self) -> list[URLPattern]:
        download = self.admin_site.admin_view(self.download)
        return [path("<int:pk>/download/", download, name="datastore_item_download"), *super().get_urls()]

    def get_readonly_fields(self, request: HttpRequest, obj: Item | None = None) -> tuple[str, ...]:
        names = ("key", "size", "download_link", "created", "updated", "is_secret")
        if obj is not None and not self.has_change_permission(request, obj):
            return ("key", "content_type", "description", "is_secret", "size", "download_link", "value_preview")
        return names if obj else ()

    def get_fieldsets(self, request: HttpRequest, obj: Item | None = None) -> Any:
        if obj is None:
            return self.fieldsets
        if not self.has_change_permission(request, obj):
            names = ["key", "content_type", "description", "is_secret", "value_preview", "size", "download_link"]
            return ((None, {"fields": names}),)
        form = self.form(instance=obj)
        editable = [name for name in ("content_type", "description", "secret", "text", "file") if name in form.fields]
        return (
            (None, {"fields": ["key", *editable]}),
            ("Details", {"fields": [*(() if obj.secret else ("size", "download_link")), "created", "updated"]}),
        )

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        names = ("key", "content_type", "description", "secret")
        kwargs["fields"] = [name for name in names if not (obj and name == "key")]
        if obj is not None and not self.has_change_permission(request, obj):
            kwargs["fields"] = []
            kwargs["form"] = ModelForm
        return super().get_form(request, obj, change, **kwargs)

    @admin.display(description="secret", ordering="secret")
    def is_secret(self, item: Item) -> str:
        return "yes" if item.secret else ""

    @admin.display(description="size", ordering="bytes")
    def size(self, item: Item) -> str:
        return "" if item.secret else filesizeformat(getattr(item, "bytes", 0))

    @admin.display(description="description", ordering="description")
    def description_preview(self, item: Item) -> str:
        return truncatechars(item.description, MAX_DESCRIPTION_IN_LIST)

    @admin.display(description="updated", ordering="updated_at")
    def updated(self, item: Item) -> str:
        return ago(item.updated_at)

    @admin.display(description="created", ordering="created_at")
    def created(self, item: Item) -> str:
        return ago(item.created_at)

    @admin.display(description="file")
    def download_link(self, item: Item) -> str:
        if item.secret:
            return "not available: secret values are never shown"
        return format_html('<a href="{}">Download</a>', reverse("admin:datastore_item_download", args=[item.pk]))

    @admin.display(description="value")
    def value_preview(self, item: Item) -> str:
        if item.secret:
            return MASK
        text = self.form(instance=item).initial.get("text")
        return format_html('<pre class="text">{}</pre>', text) if text is not None else "not text, or too long to show"

    def download(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Return the value as a file; 403 for a secret item."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        item = get_object_or_404(Item, pk=pk)
        if item.secret:
            raise PermissionDenied
        return make_value_response(item, as_attachment=True)

    def save_model(self, request: HttpRequest, obj: Item, form: Any, change: bool) -> None:
        value = form.cleaned_data["value"]
        if value is None:
            service.update_metadata(actor_of_user(request), obj.key, obj.content_type, obj.description)
            return
        update = service.ItemUpdate(value, obj.content_type, obj.description, bool(form.cleaned_data.get("secret")))
        service.put_item(actor_of_user(request), obj.key, update)
        if is_json_of_other_type(value, obj.content_type):
            self.message_user(request, JSON_OF_OTHER_TYPE.format(obj.content_type), messages.WARNING)
        obj.pk = Item.objects.only("pk").get(key=obj.key).pk

    def delete_model(self, request: HttpRequest, obj: Item) -> None:
        service.delete_item(actor_of_user(request), obj.key)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Do nothing: `datastore.service` has recorded the change."""

    log_change = log_addition

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        """Do nothing: `datastore.service` has recorded the deletion."""
