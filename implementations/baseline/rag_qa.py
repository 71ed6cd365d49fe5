"""Question answering over documents without a framework: the OpenAI client, its embeddings, a plain loop."""

import json

from openai import AsyncOpenAI

from tasks.base import Model
from tasks.rag_qa.spec import RagQaBrief


async def run(brief: RagQaBrief, model: Model) -> str:
    client = AsyncOpenAI(base_url=model.base_url, api_key=model.api_key)
    passages = [document.passage for document in brief.documents]
    vectors = await embed(client, model, passages)

    async def search(query: str) -> str:
        [wanted] = await embed(client, model, [query])
        similarity = [sum(a * b for a, b in zip(vector, wanted, strict=True)) for vector in vectors]
        best = sorted(range(len(passages)), key=lambda i: similarity[i], reverse=True)[: brief.k]
        return "\n\n".join(passages[i] for i in best)

    parameters = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
    function = {
        "name": brief.search_tool_name,
        "description": brief.search_tool_description,
        "parameters": parameters,
    }
    messages = [
        {"role": "system", "content": brief.instructions},
        {"role": "user", "content": brief.question},
    ]
    for _ in range(model.max_model_calls):
        completion = await client.chat.completions.create(
            model=model.name,
            temperature=model.temperature,
            messages=messages,
            tools=[{"type": "function", "function": function}],
        )
        message = completion.choices[0].message
        if not message.tool_calls:
            return message.content or ""
        messages.append(message.model_dump(exclude_none=True))
        for call in message.tool_calls:
            try:
                result = await search(json.loads(call.function.arguments)["query"])
            except (ValueError, KeyError, TypeError) as error:
                result = f"Error: {call.function.name} needs a query ({error!r})"
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    raise RuntimeError(f"no answer after {model.max_model_calls} model calls")


async def embed(client: AsyncOpenAI, model: Model, texts: list[str]) -> list[list[float]]:
    response = await client.embeddings.create(model=model.embedding_name, input=texts)
    return [item.embedding for item in response.data]
