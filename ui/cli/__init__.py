"""The commands that call a running mesh, by name; a command's module is imported when it runs."""

COMMANDS: dict[str, str] = {
    "status": "ui.cli.status:status",
    "top": "ui.cli.top:top",
    "call": "ui.cli.call:call",
    "add": "ui.cli.add:add",
    "collections": "ui.cli.collections:collections",
    "documents": "ui.cli.documents:documents",
    "chunks": "ui.cli.chunks:chunks",
    "search": "ui.cli.search:search",
    "ask": "ui.cli.ask:ask",
    "embed": "ui.cli.embed:embed",
    "rerank": "ui.cli.rerank:rerank",
    "generate": "ui.cli.generate:generate",
    "export": "ui.cli.export:export",
    "import": "ui.cli.import_:import_",
    "import-faiss": "ui.cli.import_faiss:import_faiss",
    "reindex": "ui.cli.reindex:reindex",
    "fsck": "ui.cli.fsck:fsck",
    "eval": "ui.cli.evaluate:evaluate",
    "testset": "ui.cli.testsets:testset",
    "calibrate": "ui.cli.calibrate:calibrate",
}
