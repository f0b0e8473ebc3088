"""Words for the frame of every page: navigation, health and banners."""

from __future__ import annotations

# key: (Chinese, English). Texts are plain; Markdown only where a page says so.
TABLE: dict[str, tuple[str, str]] = {
    "app.pages_use": ("使用", "Use"),
    "app.pages_manage": ("管理", "Manage"),
    "app.collection": ("知识库", "Knowledge base"),
    "app.collection_help": ("所有页面都使用这里选中的知识库。", "Every page works with the one chosen here."),
    "app.no_collection": ("还没有知识库", "No knowledge base yet"),
    "app.language": ("English", "中文"),
    "app.language_help": ("Switch to English", "切换到中文"),
    "app.writer": ("回答：{name}", "Answers: {name}"),
    "app.writer_none": ("回答：摘录原文", "Answers: quoted sentences"),
    "app.embedder": ("向量：{name}", "Vectors: {name}"),
    "app.models_unknown": ("模型：未知", "Models: unknown"),
    "health.ready": ("一切正常", "All services ready"),
    "health.starting": ("正在启动", "Starting"),
    "health.draining": ("正在停止", "Stopping"),
    "health.down": ("服务不可用", "A service is down"),
    "health.row": (
        "{service}：{state}，{workers} 个工作进程，排队 {queued}",
        "{service}: {state}, {workers} workers, {queued} queued",
    ),
    "health.state_ready": ("就绪", "ready"),
    "health.state_starting": ("启动中", "starting"),
    "health.state_draining": ("停止中", "stopping"),
    "health.state_down": ("不可用", "down"),
    "service.index": ("索引服务", "Index service"),
    "service.llm": ("模型服务", "LLM service"),
    "service.tuning": ("微调服务", "Tuning service"),
    "banner.down": ("{service}没有响应。", "The {service} does not answer."),
    "banner.starting": ("{service}正在启动。", "The {service} is starting."),
    "banner.draining": ("{service}正在停止。", "The {service} is stopping."),
    "banner.down_fix": (
        "在终端运行 ragq status 查看原因，运行 ragq up 启动服务。服务恢复后本页会自动继续。",
        "Run “ragq status” in a terminal to see why, and “ragq up” to start it. This page goes on by itself then.",
    ),
    "banner.starting_fix": ("本页会自动继续。", "This page goes on by itself."),
    "banner.no_models": (
        "可以查看知识库和文档，但暂时不能提问，新文档也会等到服务恢复后再处理。",
        "You can look at your documents, but questions and new documents have to wait.",
    ),
    "banner.failed": ("没有成功：{message}", "That did not work: {message}"),
    "banner.broken": ("页面出错了：{message}", "This page failed: {message}"),
    "banner.broken_fix": (
        "数据没有丢失。请重试；如果再次出现，请附上日志反馈。",
        "Nothing is lost. Try again; if it comes back, report it with the log.",
    ),
    "banner.again": ("重试", "Try again"),
    "banner.config": ("配置有误：{message}", "The configuration is wrong: {message}"),
}  # fmt: skip
