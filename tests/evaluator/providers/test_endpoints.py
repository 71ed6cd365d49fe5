"""`models.toml`: the shipped endpoints, the user's own over them, and mistakes in either."""

from pathlib import Path
from typing import Any

import pytest

from evaluator.errors import Mistake
from evaluator.models import specs
from evaluator.providers import endpoints
from evaluator.providers.endpoint import Endpoint
from evaluator.providers.names import BUILT_IN

KEY = "planted-key-5d1c"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes the user's own file."""

    def write(text: str) -> Path:
        path = tmp_path / "own.toml"
        path.write_text(text, encoding="utf-8")
        monkeypatch.setenv(endpoints.FILE_VARIABLE, str(path))
        return path

    return write


# --- what is shipped -----------------------------------------------------------------------------


def test_every_named_server_and_provider_is_shipped() -> None:
    kinds = {name: table.kind for name, table in endpoints.endpoints().items()}
    self_hosted = "ollama llamacpp llama-cpp-python vllm sglang lmdeploy tgi tensorrt-llm xinference lmstudio"
    hosted = "openai azure anthropic gemini mistral deepseek openrouter together groq bedrock"
    assert kinds == dict.fromkeys(self_hosted.split(), "self-hosted") | dict.fromkeys(hosted.split(), "hosted")


@pytest.mark.parametrize("name", endpoints.endpoints())
def test_a_shipped_endpoint_can_be_used_as_its_example_says(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table = endpoints.endpoints()[name]
    if table.key_variable:
        monkeypatch.setenv(table.key_variable, KEY)
    for variable in ("AZURE_OPENAI_RESOURCE", "AWS_REGION"):
        monkeypatch.setenv(variable, "mine-1")
    spec = specs.resolve(f"{name}/{table.example}", None, None)
    assert spec.endpoint is not None
    assert (spec.name, spec.sent_name, spec.endpoint.model) == (f"{name}/{table.example}", table.example, table.example)
    assert spec.endpoint.key == (KEY if table.key_variable else None)
    assert endpoints.is_server_url(spec.endpoint.base_url) and "{" not in spec.endpoint.base_url
    assert KEY not in repr(spec)


@pytest.mark.parametrize(
    ("model", "quirks"),
    [
        ("gpt-4.1", ("drop_empty_tools",)),
        ("gpt-5", ("drop_empty_tools", "max_completion_tokens", "drop_temperature")),
        ("gpt-5-mini", ("drop_empty_tools", "max_completion_tokens", "drop_temperature")),
        ("gpt-5-chat-latest", ("drop_empty_tools", "max_completion_tokens")),
        ("gpt-5.1", ("drop_empty_tools", "max_completion_tokens")),
        ("o3-mini", ("drop_empty_tools", "max_completion_tokens", "drop_temperature")),
        ("omni", ("drop_empty_tools",)),
    ],
)
def test_reasoning_models_are_told_apart(model: str, quirks: tuple[str, ...]) -> None:
    assert endpoints.shipped()["openai"].quirks_of(model) == quirks


@pytest.mark.parametrize("name", endpoints.shipped())
def test_a_shipped_endpoint_says_where_it_was_read_and_how_to_get_it(name: str) -> None:
    table = endpoints.shipped()[name]
    assert table.source and table.notes and (table.start if table.kind == "self-hosted" else table.get)


# --- the user's own ------------------------------------------------------------------------------


def test_the_users_own_file_is_laid_over_field_by_field(own: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    own(
        '[endpoint.groq]\nquirks = ["drop_strict"]\n'
        '[endpoint.mine]\ntitle = "Mine"\nkind = "self-hosted"\nbase_url = "http://10.0.0.1:8000/v1"\n'
    )
    shipped = endpoints.endpoints()["ollama"]
    found = endpoints.endpoints()
    assert found["groq"].quirks == ["drop_strict"]
    assert found["groq"].base_url == "https://api.groq.com/openai/v1"
    assert found["ollama"] == shipped
    spec = specs.resolve("mine/some/model", None, None)
    assert spec.endpoint == Endpoint("some/model", "http://10.0.0.1:8000/v1")


def test_the_file_in_the_configuration_folder_is_found(tmp_path: Path) -> None:
    path = tmp_path / "config" / "bakeoff" / "models.toml"
    path.parent.mkdir(parents=True)
    path.write_text('[endpoint.ollama]\nbase_url = "http://gpu:11434/v1"\n')
    assert endpoints.own_file() == path
    assert endpoints.endpoints()["ollama"].base_url == "http://gpu:11434/v1"


def test_quirks_of_matching_models_come_after_those_of_the_endpoint_once_each(own: Any) -> None:
    own(
        '[endpoint.vllm]\nquirks = ["drop_strict", "drop_nulls"]\n'
        '[[endpoint.vllm.models]]\nmatch = "o3*"\nquirks = ["drop_temperature", "drop_strict"]\n'
        '[[endpoint.vllm.models]]\nmatch = "*-mini"\nquirks = ["max_completion_tokens"]\n'
    )
    table = endpoints.endpoints()["vllm"]
    assert table.quirks_of("o3") == ("drop_strict", "drop_nulls", "drop_temperature")
    assert table.quirks_of("o3-mini") == ("drop_strict", "drop_nulls", "drop_temperature", "max_completion_tokens")
    assert table.quirks_of("qwen") == ("drop_strict", "drop_nulls")
    spec = specs.resolve("vllm/o3", None, None)
    assert spec.endpoint is not None and spec.endpoint.quirks == ("drop_strict", "drop_nulls", "drop_temperature")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[endpoint.ollama]\n\nbase_url = \n", ":3: is not valid TOML: Invalid value"),
        ("[endpoint.ollama]\nbase_url =", ":2: is not valid TOML: Invalid value"),
        ("[endpoint.x]\ntitle = 'X'\n", ":1: endpoint.x.kind: Field required"),
        ("\n[endpoint.ollama]\ntitle = 'O'\nbase_url = 5\n", ":4: endpoint.ollama.base_url: Input should be a valid"),
        ("[endpoint.ollama]\nbase_url = 'localhost:1'\n", ":2: endpoint.ollama.base_url: must be a URL such as"),
        ("[endpoint.ollama]\nbase_url = '{HOST}/v1'\n", ":2: endpoint.ollama.base_url: must be a URL such as"),
        ("[endpoint.ollama]\nkind = 'own'\n", ":2: endpoint.ollama.kind: Input should be 'self-hosted' or 'hosted'"),
        ("[endpoint.ollama]\nkey_variable = 'A B'\n", ":2: endpoint.ollama.key_variable: String should match"),
        (
            "[endpoint.ollama]\ntitle = 'O'\nquirks = [\n  'drop_strict',\n  'nope',\n]\n",
            ":3: endpoint.ollama.quirks.1: there is no quirk 'nope'; there are drop_empty_tools, ",
        ),
        ("[endpoint.ollama]\nbase = 'http://x/v1'\n", ":2: endpoint.ollama.base: there is no such field"),
        (
            "[endpoint.vllm]\n[[endpoint.vllm.models]]\nmatch = 'a'\nquirks = []\n"
            "[[endpoint.vllm.models]]\nmatch = 'b'\nquirk = []\n",
            ":7: endpoint.vllm.models.1.quirk: there is no such field",
        ),
        ("# mine\n[endpoints.x]\n", ":2: endpoints: there is no such table; write [endpoint.NAME]"),
        ("endpoint = 1\n", ":1: endpoint: must be tables, [endpoint.NAME]"),
        ("[endpoint]\nx = 1\n", ":2: endpoint.x: must be a table, [endpoint.NAME]"),
        ("[endpoint.local]\n", ":1: endpoint.local: cannot be the name of an endpoint"),
        ("[endpoint.'a/b']\n", ":1: endpoint.a/b: cannot be the name of an endpoint"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_file_and_line(own: Any, text: str, said: str) -> None:
    path = own(text)
    with pytest.raises(Mistake) as error:
        endpoints.endpoints()
    assert str(error.value).startswith(f"{path}{said}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", BUILT_IN)
def test_no_endpoint_has_the_name_of_a_built_in_model(own: Any, name: str) -> None:
    own(f'[endpoint."{name}"]\ntitle = "Mine"\nkind = "self-hosted"\nbase_url = "http://10.0.0.1:8000/v1"\n')
    with pytest.raises(Mistake, match=r":1: .*cannot be the name of an endpoint"):
        endpoints.endpoints()


def test_a_file_that_cannot_be_read_is_named(own: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(endpoints.FILE_VARIABLE, str(tmp_path / "none.toml"))
    with pytest.raises(Mistake, match=r"none\.toml: cannot be read: No such file"):
        endpoints.endpoints()
    own("").write_bytes(b"\xff\xfe")
    with pytest.raises(Mistake, match=r"own\.toml: is not UTF-8: "):
        endpoints.endpoints()


# --- from a name to an address and a key ---------------------------------------------------------


def test_the_address_is_filled_from_the_environment(own: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    own(
        '[endpoint.mine]\ntitle = "Mine"\nkind = "self-hosted"\nbase_url = "https://{MY_HOST}.example.org:{MY_PORT}/v1"'
    )
    monkeypatch.setenv("MY_HOST", "one")
    monkeypatch.delenv("MY_PORT", raising=False)
    with pytest.raises(Mistake, match=r"^endpoint 'mine' needs the environment variable MY_PORT for its address"):
        specs.resolve("mine/x", None, None)
    monkeypatch.setenv("MY_PORT", "8000")
    spec = specs.resolve("mine/x", None, None)
    assert spec.endpoint is not None and spec.endpoint.base_url == "https://one.example.org:8000/v1"
    monkeypatch.setenv("MY_PORT", "eighty")
    with pytest.raises(Mistake, match=r"what MY_HOST, MY_PORT holds makes no address of "):
        specs.resolve("mine/x", None, None)


def test_a_base_url_takes_the_place_of_the_endpoints_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_OPENAI_RESOURCE", raising=False)
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", KEY)
    spec = specs.resolve("azure/gpt", "http://127.0.0.1:9/v1", None)
    assert spec.endpoint is not None
    assert (spec.endpoint.model, spec.endpoint.base_url, spec.endpoint.key) == ("gpt", "http://127.0.0.1:9/v1", KEY)


def test_a_server_without_a_name_takes_the_whole_name_and_the_default_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    spec = specs.resolve("meta-llama/llama-3", "http://127.0.0.1:9/v1", None)
    assert spec.endpoint == Endpoint("meta-llama/llama-3", "http://127.0.0.1:9/v1", KEY)


def test_a_self_hosted_endpoint_is_sent_no_key_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    spec = specs.resolve("ollama/qwen3:8b", None, None)
    assert spec.endpoint is not None and spec.endpoint.key is None


def test_another_variable_can_hold_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    monkeypatch.setenv("MY_KEY", f" {KEY}\n")
    spec = specs.resolve("groq/x", None, "MY_KEY")
    assert spec.endpoint is not None and spec.endpoint.key == KEY


@pytest.mark.parametrize("value", ["", "  "])
def test_a_hosted_endpoint_without_a_key_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", value)
    with pytest.raises(Mistake, match=r"^endpoint 'groq' needs a key: set the environment variable GROQ_API_KEY"):
        specs.resolve("groq/x", None, None)
    with pytest.raises(Mistake, match=r"^--key-variable GROQ_API_KEY: this environment variable is not set"):
        specs.resolve("groq/x", None, "GROQ_API_KEY")


def test_a_key_that_no_header_can_hold_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", f"{KEY}\nsecond")
    with pytest.raises(Mistake, match=r"^GROQ_API_KEY: holds characters that no key can have") as error:
        specs.resolve("groq/x", None, None)
    assert KEY not in str(error.value)


def test_the_quirks_are_part_of_what_decides_the_answers(own: Any) -> None:
    from rich.console import Console

    plain = specs.digest(specs.resolve("vllm/x", None, None), Console())
    own('[endpoint.vllm]\nquirks = ["drop_temperature"]\n')
    assert specs.digest(specs.resolve("vllm/x", None, None), Console()) != plain
