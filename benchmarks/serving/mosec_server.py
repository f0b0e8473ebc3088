"""mosec over sentence-transformers: ``SERVED_MODEL=MODEL python mosec_server.py --port PORT``."""

import os

import orjson
import torch
from mosec import Server, Worker
from sentence_transformers import SentenceTransformer


class Embedder(Worker):
    def __init__(self) -> None:
        torch.set_num_threads(1)
        self.model = SentenceTransformer(os.environ["SERVED_MODEL"], device="cpu")

    def forward(self, data: list[dict[str, str]]) -> list[dict[str, object]]:
        texts = [item["text"] for item in data]
        found = self.model.encode(texts, batch_size=32, normalize_embeddings=True, show_progress_bar=False)
        return [{"embedding": vector} for vector in found]

    def serialize(self, data: dict[str, object]) -> bytes:
        return orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY)


if __name__ == "__main__":
    server = Server()
    server.append_worker(Embedder, num=1, max_batch_size=32, max_wait_time=5)
    server.run()
