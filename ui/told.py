"""What services say in English, such as the reason why a file failed, in the language of the page."""

from __future__ import annotations

import re
from functools import cache

from .labels import Labels

# English with {} for what changes, and Chinese with {0}, {1} at its places. What is not here stays English.
CHINESE: dict[str, str] = {
    "the file is empty": "文件是空的",
    "check that the right file was added": "请确认添加的是正确的文件",
    "there is no text in it": "文件中没有文字",
    "check that it opens and shows text": "请确认文件能打开并显示文字",
    "the PDF has no text: its pages are images": "PDF 没有文字：页面都是图片",
    "pip install 'ragq[ocr]' lets the Index service read them (index.ocr), {}": (
        "pip install 'ragq[ocr]' 后可由 Index 服务识别文字（index.ocr），{0}"
    ),
    "pip install 'ragq[ocr]' lets the Index service read it (index.ocr), {}": (
        "pip install 'ragq[ocr]' 后可由 Index 服务识别文字（index.ocr），{0}"
    ),
    "or run text recognition over it first: {}": "或先做文字识别：{0}",
    "or run text recognition over it first and add the text or PDF": "或先做文字识别，再添加得到的文字或 PDF",
    "text recognition cannot be started: {}": "文字识别无法启动：{0}",
    "{} of its pages are images; text recognition reads up to {}": "其中 {0} 页是图片；文字识别最多处理 {1} 页",
    "split it, or raise index.ocr_pages; with index.ocr: never the images are left out": (
        "请拆分文件，或调高 index.ocr_pages；设 index.ocr: never 则跳过图片页"
    ),
    "the picture is damaged: {}": "图片已损坏：{0}",
    "the PDF is locked with a password": "PDF 有密码保护",
    "save a copy without a password and add that": "请另存一份没有密码的副本再添加",
    "the PDF has {} pages; the limit is {}": "PDF 有 {0} 页，上限是 {1} 页",
    "split it, or raise {}": "请拆分文件，或调高 {0}",
    "the PDF is damaged: {}": "PDF 已损坏：{0}",
    "page {} of the PDF is damaged: {}": "PDF 第 {0} 页已损坏：{1}",
    "print the PDF to a new one": "请把它打印成新的 PDF",
    "open it in a viewer and print it to a new PDF": "请在阅读器中打开，并打印成新的 PDF",
    "the Word document is damaged: {}": "Word 文档已损坏：{0}",
    "{} is damaged: {}": "{0} 已损坏：{1}",
    "{} would unpack to {} MB from {} KB, which no text does": "{0} 解压后有 {1} MB，原文件只有 {2} KB，不像正常文档",
    "this is {}, which cannot be read": "这是 {0}，无法读取",
    "the presentation has {} slides; the limit is {}": "演示文稿有 {0} 页，上限是 {1} 页",
    "every sheet with something in it is hidden": "有内容的工作表都被隐藏了",
    "show the sheets and save it again": "请取消隐藏工作表并重新保存",
    "the workbook is in the 'Strict' form of the format": "工作簿是 Strict 格式",
    "save it as a normal Excel workbook (.xlsx)": "请另存为普通的 Excel 工作簿（.xlsx）",
    "the table has more than {} cells or {} million characters": "表格超过 {0} 个单元格或 {1} 百万字符",
    "split it, and add the parts that people ask about": "请拆分，只添加会被问到的部分",
    "the JSON nests its values more than {} levels deep": "JSON 嵌套超过 {0} 层",
    "export what people ask about as JSON Lines": "请把会被问到的内容导出为 JSON Lines",
    "the file is no e-mail: it has no header": "文件不是电子邮件：没有邮件头",
    "export the letter again as .eml": "请重新导出为 .eml",
    "save it as DOCX or PDF": "请另存为 DOCX 或 PDF",
    "save it as XLSX or CSV": "请另存为 XLSX 或 CSV",
    "save it as PPTX or PDF": "请另存为 PPTX 或 PDF",
    "the file is a damaged archive or Office file: {}": "压缩包或 Office 文件已损坏：{0}",
    "open it in an editor and save it again": "请在编辑器中打开并重新保存",
    "open it in an editor or viewer and save it again": "请在编辑器或阅读器中打开并重新保存",
    "save or download it again": "请重新保存或下载",
    "save it again from a browser": "请在浏览器中重新保存",
    "the page cannot be read: {}": "网页无法读取：{0}",
    "the file is not text and of no known type": "文件不是文本，类型也无法识别",
    "convert it to PDF, DOCX, HTML or plain text": "请转换成 PDF、DOCX、HTML 或纯文本",
    "this is a sound or video file, which cannot be read": "这是音频或视频文件，无法读取",
    "add its transcript": "请添加它的文字稿",
    "this is an image ({}), not a document": "这是图片（{0}），不是文档",
    "this is a zip archive, not a document": "这是压缩包，不是文档",
    "unpack it and add the files": "请解压后添加其中的文件",
    "{} made its parser fail": "解析{0}时出错",
    "opening {} took longer than {} s": "打开{0}超过了 {1} 秒",
    "the file": "文件",
    "the service ended {} times while it worked on this document": "服务处理这个文档时 {0} 次意外结束",
    "look at 'ragq logs index' for what ended it; split the file or add it as plain text, then retry it": (
        "请用 ragq logs index 查看原因；拆分文件或以纯文本添加，然后重试"
    ),
    "cancelled by a caller": "已被取消",
    "the collection was deleted": "知识库已删除",
    "searched by words only: {}": "只按关键词检索：{0}",
    "the collection has no document {}": "知识库里没有文档 {0}",
    "{} and {} more": "{0} 等，另有 {1} 个",
    "not searched, because not ready: {}": "尚未就绪，没有检索：{0}",
    "no document fits what the search is limited to, so nothing was searched": "没有文档符合限定的范围，因此没有检索",
    "only these documents were searched: {}": "只检索了这些文档：{0}",
    "at_least: this search has no score '{}'": "at_least：这次检索没有 {0} 分数，因此它没有起作用",
    "at_least: there is no score '{}'": "at_least：没有名为 {0} 的分数",
    "passages were found, and none scores as high as at_least asks": "找到了段落，但没有一段达到 at_least 的分数",
    "the scores are {}": "可用的分数：{0}",
    "at_least: {} is not a number": "at_least：{0} 不是数字",
    "not reranked: the reranker is too slow on this machine": "没有重排：重排模型在这台机器上太慢",
    "not reranked: the time allows {} passages, {} are wanted": "没有重排：时间只够 {0} 段，需要 {1} 段",
    "{} took longer than it was given": "{0} 超时",
    "not reranked: {}": "没有重排：{0}",
    "the calibration is not used: it was fitted to {}, and now there are {}; {} fits it again": (
        "没有使用校准：它是为 {0} 做的，现在是 {1}；用 {2} 重新校准"
    ),
    "the collection lacks the answer; what was answered all the same is not grounded in it": (
        "知识库里没有答案；这个回答没有知识库的依据"
    ),
    "the model cited {}, which do not exist": "模型引用了不存在的编号：{0}",
    "the model set no marker; the passages that back its sentences are cited": "模型没有标注；标出的是支持其句子的段落",
    "no passage backs what the model wrote; sentences are quoted instead": "没有段落支持模型写的内容，因此改为引用原文",
    # Behind all others that begin like it.
    "page {}": "第 {0} 页",
}


def told(text: str, labels: Labels) -> str:
    """The text in the page's language where it is known, its parts too, else as the service said it."""
    if labels.language != "zh":
        return text
    for pattern, chinese in _patterns():
        if found := pattern.fullmatch(text):
            return chinese.format(*(told(part, labels) for part in found.groups()))
    return text


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    return [
        (re.compile("(.+)".join(map(re.escape, text.split("{}"))), re.DOTALL), said) for text, said in CHINESE.items()
    ]
