import pytest

from flyte_client import Pack, SettingsError, settings

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("environment", "argument", "address"),
    [
        ({"FLYTE_API": "http://h:8080"}, None, "http://h:8080"),
        ({"FLYTE_API_URL": "https://h/v1/"}, None, "https://h/v1"),
        ({"FLYTE_API": "http://one", "FLYTE_API_URL": "http://two"}, None, "http://one"),
        ({"FLYTE_API": "", "FLYTE_API_URL": " http://two "}, None, "http://two"),
        ({"FLYTE_API": "http://one"}, "http://argument/", "http://argument"),
    ],
)
def test_address_is_found(environment: dict[str, str], argument: str | None, address: str) -> None:
    assert settings.read_api_url(environment, argument) == address


@pytest.mark.parametrize(
    "value",
    ["localhost:8080", "ftp://h", "http://?q", "http://h:99999", "http://[::1", "http://h:0", "http://user:secret@h"],
)
def test_an_invalid_address_names_the_variable_and_not_its_value(value: str) -> None:
    with pytest.raises(SettingsError, match=r"^FLYTE_API: invalid address, must start with http") as caught:
        settings.read_api_url({"FLYTE_API": value})
    assert value not in str(caught.value)


def test_a_missing_address_names_the_variable() -> None:
    with pytest.raises(SettingsError, match=r"^FLYTE_API: required"):
        Pack("Nowhere").send("Told")


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("", {}),
        ("env=prod", {"env": "prod"}),
        ("env:prod", {"env": "prod"}),
        (" env = prod , az:b,", {"env": "prod", "az": "b"}),
        ("url=http://h", {"url": "http://h"}),
        ("a:b=c", {"a:b": "c"}),
        ("empty=", {"empty": ""}),
    ],
)
def test_labels_are_read_in_both_forms(text: str, labels: dict[str, str]) -> None:
    assert settings.read_labels({"FLYTE_LABELS": text}) == labels


@pytest.mark.parametrize("text", ["env", "=prod", "env=prod,az"])
def test_labels_of_another_form_are_rejected(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^FLYTE_LABELS: "):
        settings.read_labels({"FLYTE_LABELS": text})


@pytest.mark.parametrize("text", ["0", "-1", "soon", "nan", "inf"])
def test_seconds_must_be_a_number_above_zero(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^FLYTE_POLL_INTERVAL: invalid value .* above 0"):
        settings.read_seconds({"FLYTE_POLL_INTERVAL": text}, "FLYTE_POLL_INTERVAL", 5.0)


def test_seconds_have_a_default() -> None:
    assert settings.read_seconds({"FLYTE_POLL_INTERVAL": " "}, "FLYTE_POLL_INTERVAL", 5.0) == 5.0
    assert settings.read_seconds({"FLYTE_POLL_INTERVAL": "0.5"}, "FLYTE_POLL_INTERVAL", 5.0) == 0.5


def test_a_token_with_invalid_characters_is_rejected() -> None:
    assert settings.read_token({"FLYTE_JWT": " a.b.c\n"}) == "a.b.c"
    assert settings.read_token({}) is None
    with pytest.raises(SettingsError, match=r"^FLYTE_JWT: "):
        settings.read_token({"FLYTE_JWT": "a\nb"})
