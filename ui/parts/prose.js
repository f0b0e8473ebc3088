// Builds the blocks that Python sends. Only text nodes: nothing in a text is ever read as markup.

const TAGS = { heading: "h4", item: "li", number: "p", code: "pre", paragraph: "p", quiet: "p", quote: "blockquote", cite: "p" };
const LOOKS = { strong: "strong", code: "code", mark: "mark", quiet: "small" };

// A number or a name that opens a passage. While an answer grows it cannot be pressed: the finished
// answer takes the place of the growing one, and a click in between would be lost.
function opener(span, hints, open) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = span.look;
  button.disabled = open === null;
  button.textContent = span.text;
  button.title = hints[span.target] ?? "";
  button.setAttribute("aria-label", `${span.text} ${hints[span.target] ?? ""}`.trim());
  button.addEventListener("click", () => open(span.target));
  return button;
}

function inline(span, hints, open) {
  if (span.look === "chip" || span.look === "link") return opener(span, hints, open);
  if (!(span.look in LOOKS)) return document.createTextNode(span.text);
  const node = document.createElement(LOOKS[span.look]);
  node.textContent = span.text;
  return node;
}

function block(given, hints, open) {
  const node = document.createElement(TAGS[given.shape] ?? "p");
  node.className = given.shape;
  node.append(...given.spans.map((span) => inline(span, hints, open)));
  return node;
}

export default function ({ data, parentElement, setTriggerValue }) {
  let root = parentElement.querySelector(".prose");
  if (!root) {
    root = document.createElement("div");
    parentElement.append(root);
  }
  root.className = data.source ? "prose source" : "prose";
  const open = data.growing ? null : (target) => setTriggerValue("opened", target);
  root.replaceChildren(...data.blocks.map((given) => block(given, data.hints, open)));
  if (data.source) root.querySelector("mark")?.scrollIntoView({ block: "nearest" });
}
