"""Memory in LlamaIndex: the messages of a conversation in a database, and a block of facts that the model extracts."""

import json
from urllib.parse import quote

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.memory import FactExtractionMemoryBlock, Memory
from llama_index.core.storage.chat_store.base_db import MessageStatus
from llama_index.llms.openai_like import OpenAILike

from tasks.base import Model
from tasks.memory.spec import MemoryBrief


async def run(brief: MemoryBrief, model: Model) -> str:
    llm = OpenAILike(
        model=model.name,
        api_base=model.base_url,
        api_key=model.api_key,
        temperature=model.temperature,
        is_chat_model=True,
        is_function_calling_model=True,
    )
    # A block does not store its facts.
    file = brief.store / f"{quote(brief.user, safe='')}.json"
    facts = FactExtractionMemoryBlock(llm=llm, facts=json.loads(file.read_text()) if file.exists() else [])
    memory = Memory.from_defaults(
        session_id=f"{brief.user}/{brief.conversation}",
        token_limit=brief.most_tokens,
        token_flush_size=brief.most_tokens // 4,
        memory_blocks=[facts],
        async_database_uri=f"sqlite+aiosqlite:///{brief.store / 'conversations.sqlite'}",
    )
    agent = FunctionAgent(llm=llm, system_prompt=brief.instructions)
    for message in brief.messages:
        answer = await agent.run(user_msg=message, memory=memory)
    # It extracts facts from messages that leave the memory, so here from those that are still in it.
    await facts.aput(await memory.aget_all(status=MessageStatus.ACTIVE))
    file.write_text(json.dumps(facts.facts))
    return str(answer)
