"""LitServe over sentence-transformers: ``python litserve_server.py PORT MODEL``."""

import sys

import litserve
import torch
from sentence_transformers import SentenceTransformer


class Embedder(litserve.LitAPI):
    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe's own names
        torch.set_num_threads(1)
        self.model = SentenceTransformer(sys.argv[2], device="cpu")

    def decode_request(self, request: dict[str, str]) -> str:
        return request["text"]

    def batch(self, inputs: list[str]) -> list[str]:
        return list(inputs)

    def predict(self, texts: list[str]) -> list[object]:
        return list(self.model.encode(texts, batch_size=32, normalize_embeddings=True, show_progress_bar=False))

    def unbatch(self, output: list[object]) -> list[object]:
        return output

    def encode_response(self, output: object) -> dict[str, object]:
        return {"embedding": output.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Embedder(max_batch_size=32, batch_timeout=0.005), accelerator="cpu", timeout=False)
    server.run(
        port=int(sys.argv[1]), host="127.0.0.1", num_api_servers=1, generate_client_file=False, log_level="error"
    )
