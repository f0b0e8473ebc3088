"""FastAPI over sentence-transformers: ``python fastapi_server.py PORT MODEL``."""

import sys
import threading

import orjson
import torch
import uvicorn
from fastapi import FastAPI, Response
from pydantic import BaseModel
from sentence_transformers import SentenceTransformer

torch.set_num_threads(1)
model = SentenceTransformer(sys.argv[2], device="cpu")
one_at_a_time = threading.Lock()
app = FastAPI()


class Text(BaseModel):
    text: str


@app.post("/embed")
def embed(body: Text) -> Response:
    with one_at_a_time:
        vector = model.encode(body.text, normalize_embeddings=True, show_progress_bar=False)
    content = orjson.dumps({"embedding": vector}, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(content, media_type="application/json")


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False, timeout_keep_alive=3600)
