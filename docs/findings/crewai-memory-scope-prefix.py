"""CrewAI: a memory of the scope /user/ada recalls what was remembered under /user/adam.

The documentation names scopes for keeping users apart. But a scope is looked for as the beginning of a text, and not of
a path: every user whose name begins with another's is in the other's memory. `/user/ada` and what is below it should be
searched, and nothing else.

crewai 1.15.30: `scope LIKE '/user/ada%'` (crewai/memory/storage/lancedb_storage.py:63); a slash at the end of the scope
is taken away before (:412).

uv run --with crewai==1.15.30 docs/findings/crewai-memory-scope-prefix.py
"""

import tempfile

from crewai import Memory

store = tempfile.mkdtemp()


def memory_of(user: str) -> Memory:
    embedder = lambda texts: [[1.0, 0.0] for _ in texts]  # noqa: E731
    return Memory(llm="not asked", storage=store, embedder=embedder, root_scope=f"/user/{user}/")


memory_of("adam").remember("My card ends in 4242.", scope="/", categories=["card"], importance=1.0)
for match in memory_of("ada").recall("Which card?", depth="shallow"):
    print(f"ada is told: {match.record.content}")
