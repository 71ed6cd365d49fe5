"""Memory without a framework: a file for each user has their last messages, and a summary of what was before."""

import json
from urllib.parse import quote

from openai import AsyncOpenAI

from tasks.base import Model
from tasks.memory.spec import MemoryBrief

SUMMARISE = (
    "Write a summary of our conversation so far, in a few sentences. "
    "Keep all that I told you about myself, as I told it, and leave out the small talk."
)
CHARACTERS_A_TOKEN = 4
"""An estimate: there is no tokenizer that all models share."""


async def run(brief: MemoryBrief, model: Model) -> str:
    client = AsyncOpenAI(base_url=model.base_url, api_key=model.api_key)
    file = brief.store / f"{quote(brief.user, safe='')}.json"
    memory = json.loads(file.read_text()) if file.exists() else {"summary": "", "messages": []}
    answer = ""
    for message in brief.messages:
        said = {"role": "user", "content": message}
        # The request for the summary must fit, too.
        if tokens(request(brief, memory, said)) > brief.most_tokens * 0.9 and memory["messages"]:
            summary = await ask(client, model, request(brief, memory, {"role": "user", "content": SUMMARISE}))
            memory = {"summary": summary, "messages": []}
        answer = await ask(client, model, request(brief, memory, said))
        memory["messages"] += [said, {"role": "assistant", "content": answer}]
        file.write_text(json.dumps(memory))
    return answer


def request(brief: MemoryBrief, memory: dict, said: dict) -> list[dict]:
    instructions = brief.instructions
    if memory["summary"]:
        instructions += f"\n\nSummary of what the user and you said before:\n{memory['summary']}"
    return [{"role": "system", "content": instructions}, *memory["messages"], said]


def tokens(messages: list[dict]) -> int:
    return sum(len(message["content"]) for message in messages) // CHARACTERS_A_TOKEN


async def ask(client: AsyncOpenAI, model: Model, messages: list[dict]) -> str:
    completion = await client.chat.completions.create(
        model=model.name, temperature=model.temperature, messages=messages
    )
    return completion.choices[0].message.content or ""
