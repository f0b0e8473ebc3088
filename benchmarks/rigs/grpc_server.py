"""gRPC at its best: bytes handlers, no generated code, no compression; ``... grpc_server PORT sync|aio``."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

OPTIONS = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
NUM_THREADS = 8
EMBEDDINGS = os.urandom(32 * 1024 * 4)
TOKENS = [b"token "] * 200


def handlers(echo: Any, embed: Any, write: Any) -> grpc.GenericRpcHandler:
    """The service, whose messages are plain bytes on both sides."""
    return grpc.method_handlers_generic_handler(
        "bench",
        {
            "echo": grpc.unary_unary_rpc_method_handler(echo),
            "embed": grpc.unary_unary_rpc_method_handler(embed),
            "write": grpc.unary_stream_rpc_method_handler(write),
        },
    )


def serve_sync(address: str) -> None:
    def write(_request: bytes, _context: Any) -> Iterator[bytes]:
        yield from TOKENS

    server = grpc.server(ThreadPoolExecutor(NUM_THREADS), options=OPTIONS)
    server.add_generic_rpc_handlers([handlers(lambda r, _: r, lambda _r, _c: EMBEDDINGS, write)])
    server.add_insecure_port(address)
    server.start()
    server.wait_for_termination()


async def serve_aio(address: str) -> None:
    async def echo(request: bytes, _context: Any) -> bytes:
        return request

    async def embed(_request: bytes, _context: Any) -> bytes:
        return EMBEDDINGS

    async def write(_request: bytes, _context: Any) -> AsyncIterator[bytes]:
        for token in TOKENS:
            yield token

    server = grpc.aio.server(options=OPTIONS)
    server.add_generic_rpc_handlers([handlers(echo, embed, write)])
    server.add_insecure_port(address)
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    where = f"127.0.0.1:{sys.argv[1]}"
    if sys.argv[2] == "sync":
        serve_sync(where)
    else:
        asyncio.run(serve_aio(where))
