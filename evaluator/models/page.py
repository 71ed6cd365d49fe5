"""`docs/models.md`: the models in words, and every shipped endpoint, made from `models.toml`.

`uv run python -m evaluator.models.page` writes it.
"""

import re
from dataclasses import dataclass

from evaluator import ROOT
from evaluator.models.template import TEMPLATE, sentences
from evaluator.providers.endpoints import FILE_VARIABLE, SHIPPED, EndpointTable, shipped
from evaluator.providers.quirks import QUIRKS
from evaluator.providers.waiting import ANSWER_TOKENS, KEPT_FREE, LONGEST_WAIT_S
from evaluator.text import table

PAGE = ROOT / "docs" / "models.md"
COMMAND = "uv run python -m evaluator.models.page"


@dataclass(frozen=True)
class _CallsTools:
    """A GGUF file on the model hub that calls tools natively, and where that is said."""

    title: str
    billions: int
    file: str
    source: str


_CALL_TOOLS = (
    _CallsTools(
        "Llama 3.2 3B Instruct",
        3,
        "bartowski/Llama-3.2-3B-Instruct-GGUF/Llama-3.2-3B-Instruct-Q4_K_M.gguf",
        "https://github.com/ggml-org/llama.cpp/blob/master/docs/function-calling.md",
    ),
    _CallsTools(
        "Granite 4.0 Micro",
        3,
        "ibm-granite/granite-4.0-micro-GGUF/granite-4.0-micro-Q4_K_M.gguf",
        "https://huggingface.co/ibm-granite/granite-4.0-micro",
    ),
    _CallsTools(
        "Qwen2.5 7B Instruct",
        7,
        "bartowski/Qwen2.5-7B-Instruct-GGUF/Qwen2.5-7B-Instruct-Q4_K_M.gguf",
        "https://github.com/ggml-org/llama.cpp/blob/master/docs/function-calling.md",
    ),
)

_INTRODUCTION = """\
# Models

| `--model` | what answers |
| --- | --- |
| `local`, `local-0.5b` | a small language model that is embedded: nothing to start |
| `gguf:PATH`, `hf:REPO/FILE` | any GGUF file of yours or of the model hub, run in the same way: nothing to start |
| `scripted` | a deterministic model that plays each case perfectly, from what it was sent |
| `probes` | a model that misbehaves on purpose |
| `faults` | the scripted model, with a [fault](faults.md) put into each run |
| `capabilities` | the model of [capability tasks](capabilities.md), which come with it |
| `replay` | the recorded responses of earlier runs: of `traces/local`, or of those that `--replay FOLDER` names |
| `ENDPOINT/MODEL` | a model of an endpoint below: `ollama/qwen3:8b`, `openrouter/meta-llama/llama-3.3-70b-instruct` |
| a name, with `--base-url URL` | a server that is none of them; its key is in `OPENAI_API_KEY`, or `--key-variable` |

`--base-url` together with an endpoint takes the place of its address. A first part that is the name of an
endpoint is always taken for it: for the model `openai/gpt-oss-20b` on a vLLM server, say
`vllm/openai/gpt-oss-20b`.

Before a long run, `uv run bakeoff doctor -m ENDPOINT/MODEL` asks the server for all that the tasks need, and
says in words what it cannot do. What a run will take, and how to limit what it may cost: [running](running.md).

**How a server is called.** As the OpenAI client calls it: redirects are followed, what comes compressed is unpacked,
proxies are those of `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` (never for this machine), the query of a base URL stays
behind the path, and a user and a password in it are sent as HTTP's Basic authentication in place of the key. A model
may be called whatever its server calls it. More than 64 MB in one reply are not read.

**Keys** are read from environment variables by the harness alone. Frameworks get an address on the loopback and no
key. Where a server shows the key or a password in what it sends, the framework receives that as it was sent, and it is
taken out of traces and logs. (What people write where no key is wanted, such as `EMPTY` or `lm-studio`, is no secret,
and nothing of less than 8 characters is.) This keeps a key from getting into files by accident; it is no wall: a
framework's code runs as the same user as the harness.

**When the server says no**, the framework receives just that, status, body and `Retry-After`; trying again after a
429 or a 5xx is its own business, unless you [give the server's limits](#limits-of-a-provider). If the run then ends
in an error, the error begins with what the server said. Where the reply itself says that every run would end alike
(the key is refused, there is no such model, no credit is left), where the server is gone or breaks off, says to
come back in more than two minutes, or ends three runs in a row in the same words without one answer, `bakeoff run`
stops with that one line; the same command goes on later.

**Whose fault.** A run that the server ended (a limit, an error of its own, a refusal of this one request, a reply that
is none) is marked so in its trace, and so is one that the harness or the machine ended. Such a run counts for no
framework, the scorecard says how many there are, the command ends with exit code 1, and the same command makes just
these again. What was wrong with the request (it is too long, or malformed) stays the framework's.

**Reasoning** (`reasoning_content`, `reasoning`, parts of type `thinking` or `reasoning`, `<think>` tags) is kept in the
trace and is no part of the answer: graders do not read it. Its tokens are counted as completion tokens, and once more
by themselves where the server says how many of those they were.

**`responses`** is passed through, recorded and counted like chat completions, to whatever server has it. Where
such an answer comes without usage, its tokens are not known. `bakeoff parity` reads chat completions only."""

_LIMITS = f"""\
## Limits of a provider

Providers allow so many requests and tokens a minute. Say how many, and the gateway keeps to it:

```sh
uv run bakeoff run -m openai/gpt-5-mini --rpm 500                          # requests a minute
uv run bakeoff run -m openai/gpt-5-mini --rpm 500 --tpm 200000 --jobs 8    # tokens too, and eight runs at once
uv run bakeoff run -m vllm/Qwen/Qwen3-8B --concurrency 4 --jobs 8          # requests under way at once
```

- The limits are those of one endpoint, for all frameworks and runs together. Of several models each has its own.
- Requests go evenly, first come, first served: with `--rpm 1200` one each 50 ms and a little, never a minute's worth
  at once. {KEPT_FREE:.0%} of a limit stay unused, since some servers count by the second.
- Of `--tpm` a request first takes an estimate: a token for four bytes, and {ANSWER_TOKENS} or its own limit for the
  answer. Once it is answered that is corrected to what the server counted, and later estimates with it.
- A refusal (429, or 503 and 529 with `Retry-After`) holds all requests back for as long as the server says. The gateway
  then sends the same request again. The framework sees nothing of it, and it counts for nobody; the trace has how many
  `refusals` a call met. What waiting does not help (no credit is left, or come back in more than two minutes) is passed
  on as ever.
- **Waiting is nobody's time.** The trace has it in a call's `waited_s`, and no figure has it in it: not wall time,
  model time, gateway or overhead. Nor does it use up a run's `--timeout`. An instant in which any call of a run waits
  is left out, whatever else goes on in it. The scorecard's notes say how long runs waited, and the line of progress
  says when calls do.
- A call waits for at most {LONGEST_WAIT_S / 60:.0f} minutes, since clients give up after ten. Then the command stops
  and says so: give fewer `--jobs`.
- Recorded runs stay valid whatever the limits are.

Models that are played or computed here have no such limits, and capability tasks take none: what they measure is when
things happen. [How well limits are held](../tests/benchmarks/LIMITS.md) was measured with a double of a provider."""

_OWN_ENDPOINTS = f"""\
## Endpoints of your own

Write `models.toml` into the configuration folder, or anywhere, with its path in `{FILE_VARIABLE}`. (The folder is
`~/.config/bakeoff/` on Linux and `~/Library/Application Support/bakeoff/` on macOS.) A table that has the name
of a shipped endpoint is laid over it field by field; a new name is a new endpoint.

```toml
[endpoint.ollama]
base_url = "http://gpu-box:11434/v1"      # all else stays as shipped

[endpoint.mine]
title = "My server"
kind = "self-hosted"                      # "hosted": cannot be used without a key
base_url = "https://{{MY_HOST}}/v1"         # {{NAME}} stands for an environment variable
key_variable = "MY_KEY"
price_key = "openai"                      # the provider's name in price lists
quirks = ["drop_strict"]

[[endpoint.mine.models]]                  # more quirks for the models whose name matches
match = "reasoning-*"
quirks = ["drop_temperature"]
```

`uv run bakeoff list` shows them all."""

_QUIRKS = """\
## Quirks

What a framework sends goes upstream as it is, but for the model's name and the key, unless a quirk says
otherwise. The trace then has the request as the framework sent it, and beside it, in `changes`, the quirks that
changed it."""

_OWN = """\
## A model of your own, without a server

```sh
uv run bakeoff doctor -m gguf:~/models/Qwen3-4B-Q4_K_M.gguf     # does it call tools?
uv run bakeoff run -m gguf:~/models/Qwen3-4B-Q4_K_M.gguf
uv run bakeoff run -m hf:OWNER/NAME-GGUF/NAME-Q4_K_M.gguf       # fetched once, into the cache of huggingface_hub
```

The harness runs the file as it runs `local`, with the same engine and settings, but with the chat template that is
inside the file, and adds nothing. Traces and tables name it by its file and the beginning of its SHA-256, such as
`gguf-Qwen3-4B-Q4_K_M-1a2b3c4d`: two files of one name are two models, and no trace shows where yours lies. The digest
that each trace records covers the whole SHA-256, the engine and the settings. A file of the hub that is here already is
taken without asking the hub. What a model writes in one turn ends after 512 tokens, so one that thinks aloud first may
never come to its answer. (`BAKEOFF_LOCAL_GGUF=PATH` is something else: a file that takes the place of the weights of
`local`, and its name.)

These have one to eight billion parameters, and call tools in a format that llama.cpp reads. They were not run here."""

_TEMPLATE = """\
## What the harness adds to `local` and `local-0.5b`

The Qwen2.5-Coder models do not write tool calls in the form that their stock template asks for, so these two are run
with [a chat template of the harness]({template}).
It says what no framework has sent. Other models get nothing of the kind.

Where tools are offered, the system message ends with the tools, and then:

````text
{how_to_call}
````

The first results of tools since the user last spoke are followed by:

```text
{after_results}
```

And later ones by:

```text
{after_more_results}
```

What this does is measured on conversations that are in no task, without it and in other wordings:
[the table](../tests/benchmarks/WORDING.md)."""

_ENDPOINTS = """\
## Endpoints

Quirks stand here where the server's own documentation or source asks for them; what could not be found there is
said to be so. **Tried** says whether frameworks were run against it for this repository, or only its
documentation was read."""


def page() -> str:
    """The whole page."""
    tables = shipped()
    return (
        "\n\n".join(
            [
                f"<!-- generated by `{COMMAND}` from {SHIPPED.relative_to(ROOT).as_posix()} -->",
                _INTRODUCTION,
                _OWN,
                table(
                    ["model", "billions", "command", "that it calls tools"],
                    (
                        [one.title, str(one.billions), f"`uv run bakeoff run -m hf:{one.file}`", f"<{one.source}>"]
                        for one in _CALL_TOOLS
                    ),
                    text_columns=2,
                ),
                _template(),
                _LIMITS,
                _OWN_ENDPOINTS,
                _QUIRKS,
                table(["quirk", "what it does"], ([f"`{quirk.name}`", quirk.meaning] for quirk in QUIRKS)),
                _ENDPOINTS,
                table(
                    ["endpoint", "address", "key", "tried"],
                    (
                        [f"[`{name}`](#{_anchor(one)})", f"`{one.base_url}`", _key(one), one.tried]
                        for name, one in tables.items()
                    ),
                    text_columns=3,
                ),
                *(_section(name, one) for name, one in tables.items()),
            ]
        )
        + "\n"
    )


def _template() -> str:
    said = sentences()
    return _TEMPLATE.format(template=f"../{TEMPLATE.relative_to(ROOT).as_posix()}", **said)


def _key(one: EndpointTable) -> str:
    return f"`{one.key_variable}`{'' if one.kind == 'hosted' else ', if it has one'}" if one.key_variable else "none"


def _anchor(one: EndpointTable) -> str:
    """The anchor that GitHub gives the heading."""
    return re.sub(r"[^\w -]", "", one.title.lower()).replace(" ", "-")


def _section(name: str, one: EndpointTable) -> str:
    needed = [*one.variables, *([one.key_variable] if one.kind == "hosted" and one.key_variable else [])]
    run = " ".join([*(f"{variable}=…" for variable in needed), f"uv run bakeoff run -m {name}/{one.example}"])
    got = one.get if one.start else f"# {one.get}"
    blocks = ["\n".join(line.strip() for line in (one.start, got, run) if line)]
    if one.from_packages:
        blocks.append(one.from_packages.strip())
    code = "\n```\n\nThe server from Python packages alone:\n\n```sh\n".join(blocks)
    quirks = [f"`{quirk}`" for quirk in one.quirks]
    quirks += [f"{', '.join(f'`{quirk}`' for quirk in of.quirks)} for `{of.match}`" for of in one.models]
    said = [f"Quirks: {'; '.join(quirks)}." if quirks else "No quirks.", *one.notes]
    sources = ", ".join(f"<{url}>" for url in one.source)
    return f"### {one.title}\n\n```sh\n{code}\n```\n\n{' '.join(said)} Read in: {sources}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
