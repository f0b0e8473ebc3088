"""FastAPI behind uvicorn, with bytes and with JSON: ``python -m benchmarks.rigs.fastapi_server PORT``."""

import os
import sys
from collections.abc import AsyncIterator

import numpy as np
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

VECTORS = np.random.default_rng(0).random((32, 1024), dtype=np.float32)
EMBEDDINGS = os.urandom(32 * 1024 * 4)
app = FastAPI()


class Text(BaseModel):
    text: str


@app.post("/bytes/echo")
async def echo(request: Request) -> Response:
    return Response(await request.body(), media_type="application/octet-stream")


@app.post("/bytes/embed")
async def embed(request: Request) -> Response:
    await request.body()
    return Response(EMBEDDINGS, media_type="application/octet-stream")


@app.post("/bytes/write")
async def write() -> StreamingResponse:
    async def tokens() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield b"data: token \n\n"

    return StreamingResponse(tokens(), media_type="text/event-stream")


@app.post("/json/echo")
async def echo_text(message: Text) -> Text:
    return message


@app.post("/json/embed")
async def embed_texts(texts: list[str]) -> dict[str, list[list[float]]]:
    return {"vectors": VECTORS[: len(texts)].tolist()}


if __name__ == "__main__":
    uvicorn.run(
        app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False, timeout_keep_alive=600
    )
