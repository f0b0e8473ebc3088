"""A LangChain chain over a collection: retrieve widely, rerank, cite.

``python langchain_chain.py COLLECTION QUESTION [ragq.yml]``; needs a mesh (ragq up) and the extra ``langchain``.
"""

from __future__ import annotations

import sys
from typing import Any

from langchain_core.runnables import RunnableLambda, RunnablePassthrough

from clients import Ragq
from clients.langchain import RagqReranker, RagqRetriever


def cited(found: dict[str, Any]) -> str:
    """The passages with where they stand, best first."""
    return "\n".join(
        f"[{number}] {one.page_content}\n    {one.metadata['document']}, page {one.metadata['page'] or '-'}"
        for number, one in enumerate(found["passages"], 1)
    )


collection, question, *config = sys.argv[1:]

with Ragq(*config) as mesh:
    retriever = RagqRetriever(mesh=mesh, collection=collection, k=20, rerank=False)
    reranker = RagqReranker(mesh=mesh, top_n=3)
    best = RunnableLambda(lambda given: reranker.compress_documents(given["found"], given["question"]))
    chain = {"question": RunnablePassthrough(), "found": retriever} | RunnablePassthrough.assign(passages=best) | cited
    print(chain.invoke(question))
