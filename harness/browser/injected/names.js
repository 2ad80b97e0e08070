// Roles and accessible names, close to what Chromium computes itself (tests compare the two).

const fold = (text) => (text || "").replace(/[\s\u00a0\u200b]+/g, " ").trim();

const parentOf = (el) => {
  if (el.assignedSlot) return el.assignedSlot;
  if (el.parentElement) return el.parentElement;
  const root = el.getRootNode();
  return root instanceof ShadowRoot ? root.host : null;
};

const childNodesOf = (el) => {
  if (el.shadowRoot) return [...el.shadowRoot.childNodes];
  if (el.localName === "slot") {
    const assigned = el.assignedNodes({ flatten: true });
    if (assigned.length) return assigned;
  }
  return [...el.childNodes];
};

const contains = (outer, inner) => {
  for (let el = inner; el; el = parentOf(el)) if (el === outer) return true;
  return false;
};

const INPUT_ROLES = {
  button: "button", submit: "button", reset: "button", image: "button", file: "button", checkbox: "checkbox",
  radio: "radio", range: "slider", number: "spinbutton", search: "searchbox", hidden: "", color: "ColorWell",
  date: "Date", month: "Date", week: "Date", time: "InputTime", "datetime-local": "DateTime",
};

const TAG_ROLES = {
  article: "article", button: "button", main: "main", nav: "navigation", h1: "heading", h2: "heading",
  h3: "heading", h4: "heading", h5: "heading", h6: "heading", ul: "list", ol: "list", menu: "list",
  li: "listitem", table: "table", tr: "row", thead: "rowgroup", tbody: "rowgroup", tfoot: "rowgroup",
  caption: "caption", img: "image", figure: "figure", hr: "separator", dialog: "dialog", details: "group",
  progress: "progressbar", meter: "meter", output: "status", fieldset: "group", p: "paragraph",
  strong: "strong", em: "emphasis", code: "code", blockquote: "blockquote", time: "time", mark: "mark",
  del: "deletion", s: "deletion", ins: "insertion", search: "search", dt: "term", dd: "definition",
  abbr: "Abbr", dfn: "term", address: "group", sub: "subscript", sup: "superscript", hgroup: "group", optgroup: "group",
  option: "option", textarea: "textbox", form: "form", iframe: "Iframe", label: "LabelText",
  legend: "Legend", summary: "DisclosureTriangle", canvas: "Canvas", video: "Video", audio: "Audio",
  figcaption: "Figcaption", dl: "DescriptionList", math: "math",
};

const SECTIONING = new Set(["article", "aside", "main", "nav", "section"]);
const ALIASES = { img: "image", presentation: "none", directory: "list", iframe: "Iframe" };

const sameRole = (role) => ALIASES[role] || role;

const ARIA_ROLES = new Set(("alert alertdialog application article banner blockquote button caption cell checkbox code " +
  "columnheader combobox comment complementary contentinfo definition deletion dialog directory document emphasis feed " +
  "figure form generic grid gridcell group heading image img insertion link list listbox listitem log main mark marquee " +
  "math menu menubar menuitem menuitemcheckbox menuitemradio meter navigation none note option paragraph presentation " +
  "progressbar radio radiogroup region row rowgroup rowheader scrollbar search searchbox sectionfooter sectionheader " +
  "separator slider spinbutton status strong subscript suggestion superscript switch tab table tablist tabpanel term " +
  "textbox time timer toolbar tooltip tree treegrid treeitem").split(" "));

const isInSection = (el) => {
  for (let up = parentOf(el); up; up = parentOf(up)) if (SECTIONING.has(up.localName)) return true;
  return false;
};

const headerRole = (el) => {
  if (el.scope === "row" || el.scope === "rowgroup") return "rowheader";
  if (el.scope || el.closest("thead")) return "columnheader";
  const row = el.parentElement;
  return row && row.querySelector(":scope > td") ? "rowheader" : "columnheader";
};

const inGrid = (el) => Boolean(el.closest("[role=grid], [role=treegrid]"));

const nativeRole = (el) => {
  const tag = el.localName;
  if (tag === "a" || tag === "area") return el.hasAttribute("href") ? "link" : "generic";
  if (tag === "input") {
    const role = INPUT_ROLES[el.type];
    if (role !== undefined) return role;
    return el.list ? "combobox" : "textbox";
  }
  if (tag === "select") return el.multiple || el.size > 1 ? "listbox" : "combobox";
  if (tag === "td") return inGrid(el) ? "gridcell" : "cell";
  if (tag === "th") return headerRole(el);
  if (tag === "header") return isInSection(el) ? "sectionheader" : "banner";
  if (tag === "footer") return isInSection(el) ? "sectionfooter" : "contentinfo";
  if (tag === "aside") return isInSection(el) && !authorName(el) ? "generic" : "complementary";
  if (tag === "section") return authorName(el) ? "region" : "generic";
  if (tag === "svg") return authorName(el) || el.querySelector(":scope > :not(text)") ? "image" : "SvgRoot";
  return TAG_ROLES[tag] || "generic";
};

const OWNED_BY_LIST = { li: ["ul", "ol", "menu"], tr: ["table"], td: ["table"], th: ["table"], tbody: ["table"] };

const isUnowned = (el) => {
  const owners = OWNED_BY_LIST[el.localName];
  const owner = owners && el.closest(owners.join(","));
  return Boolean(owner) && ["none", "presentation"].includes(owner.getAttribute("role"));
};

const roleOf = (el) => {
  const named = (el.getAttribute("role") || "").toLowerCase().split(/\s+/).find((each) => ARIA_ROLES.has(each));
  if (named && !(sameRole(named) === "none" && el.tabIndex >= 0)) return sameRole(named);
  if (!isUnowned(el)) return nativeRole(el);
  return ["td", "th"].includes(el.localName) ? "generic" : "none";
};

const FROM_CONTENT = new Set([
  "button", "link", "heading", "checkbox", "radio", "switch", "tab", "option", "menuitem", "menuitemcheckbox",
  "menuitemradio", "treeitem", "columnheader", "rowheader", "cell", "gridcell", "tooltip", "term",
  "DisclosureTriangle",
]);

const byIds = (el, attribute) =>
  (el.getAttribute(attribute) || "").split(/\s+/).filter(Boolean)
    .map((id) => el.getRootNode().getElementById(id)).filter(Boolean);

const authorName = (el) =>
  fold(byIds(el, "aria-labelledby").map((other) => nameFrom(other, true)).join(" ")) ||
  fold(el.getAttribute("aria-label")) || fold(el.getAttribute("title"));

const isUnrendered = (el) => {
  const style = getComputedStyle(el);
  return style.display === "none" || style.visibility !== "visible" || el.getAttribute("aria-hidden") === "true";
};

// Chromium counts what css does to text (icons and markers it adds, capitals) into names; who wrote the text did not.
let withCss = true;
const pseudoText = (el, which) => {
  if (!withCss) return "";
  const quoted = /^"((?:[^"\\]|\\.)*)"(?: \/ "((?:[^"\\]|\\.)*)")?/.exec(getComputedStyle(el, which).content);
  return quoted ? (quoted[2] ?? quoted[1]).replace(/\\(.)/g, "$1") : "";
};

const CAPITALS = {
  uppercase: (text) => text.toUpperCase(), lowercase: (text) => text.toLowerCase(),
  capitalize: (text) => text.replace(/(?<![\p{L}\p{N}'’])\p{L}/gu, (letter) => letter.toUpperCase()),
};
const asRendered = (text, style) => (withCss && CAPITALS[style.textTransform]?.(text)) || text;

const embeddedValue = (el) => {
  if (el.localName === "textarea" || (el.localName === "input" && ["textbox", "searchbox", "spinbutton", "slider"]
    .includes(nativeRole(el)))) return el.value;
  if (el.localName === "select") return [...el.selectedOptions].map((option) => option.text).join(" ");
  return null;
};

const ownName = (el) => {
  const tag = el.localName;
  if (["img", "area"].includes(tag) && el.hasAttribute("alt")) return fold(el.getAttribute("alt"));
  if (tag === "input" && el.type === "image" && fold(el.getAttribute("alt"))) return fold(el.getAttribute("alt"));
  if (tag === "svg") {
    const title = [...el.children].find((child) => child.localName === "title");
    return title ? fold(title.textContent) : "";
  }
  return null;
};

// The text an element contributes to a name: its own label first, then what it holds.
const nameFrom = (el, isReferenced = false, seen = new Set()) => {
  if (seen.has(el)) return "";
  seen.add(el);
  const label = fold(el.getAttribute("aria-label"));
  if (label) return label;
  const own = ownName(el);
  if (own !== null) return own;
  const value = embeddedValue(el);
  if (value !== null) return value;
  if (el.localName === "input") return inputName(el);
  const isHiddenToo = isReferenced && (isUnrendered(el) || !el.checkVisibility()); // what is hidden and pointed at counts with all it holds
  const style = getComputedStyle(el);
  return pseudoText(el, "::before") + childNodesOf(el).map((child) => {
    if (child.nodeType === Node.TEXT_NODE) return asRendered(child.data, style);
    if (child.nodeType !== Node.ELEMENT_NODE || ["script", "style"].includes(child.localName)) return "";
    if (isUnrendered(child) && !isHiddenToo) return "";
    const text = nameFrom(child, isHiddenToo, seen) || (child.localName === "br" ? " " : "");
    return ["inline", "contents"].includes(getComputedStyle(child).display) ? text : ` ${text} `;
  }).join("") + pseudoText(el, "::after");
};

const inputName = (el) => {
  if (el.type === "submit") return el.getAttribute("value") ?? "Submit";
  if (el.type === "reset") return el.getAttribute("value") ?? "Reset";
  if (el.type === "image") return fold(el.getAttribute("alt")) || fold(el.getAttribute("value")) || "Submit";
  return el.type === "button" ? el.value : "";
};

const labelsOf = (el) => [...(el.labels || [])].filter((label) => !isUnrendered(label));

const labelText = (el) => fold(labelsOf(el).map((label) => {
  const seen = new Set([el]);
  return nameFrom(label, true, seen);
}).join(" "));

const firstChild = (el, tag) => [...el.children].find((child) => child.localName === tag);

const nativeName = (el, role) => {
  const tag = el.localName;
  if (tag === "input" && ["submit", "reset", "button", "image"].includes(el.type)) return labelText(el) || inputName(el);
  if (tag === "input" && el.type === "file") return labelText(el) || "Choose File";
  if (labelsOf(el).length) return labelText(el);
  const own = ownName(el);
  if (own !== null) return own;
  const captions = { table: "caption", fieldset: "legend" };
  const caption = captions[tag] && firstChild(el, captions[tag]);
  if (caption) return fold(nameFrom(caption, true));
  if (tag === "optgroup") return fold(el.label);
  if (tag === "option") return fold(el.label || el.text);
  return null;
};

// Every way to say the name: as Chromium does, and without what css adds.
const bothWays = (name) => {
  const one = name();
  withCss = false;
  try {
    const plain = name();
    return plain === one ? [one] : [one, plain];
  } finally {
    withCss = true;
  }
};

// The accessible name: labelledby, aria-label, native label, content, title, placeholder.
const nameOf = (el) => {
  const referenced = fold(byIds(el, "aria-labelledby").map((other) => nameFrom(other, true)).join(" "));
  if (referenced) return referenced;
  const label = fold(el.getAttribute("aria-label"));
  if (label) return label;
  const role = roleOf(el);
  const native = nativeName(el, role);
  if (native || (native === "" && el.localName === "img")) return native; // an empty alt: it is told to have no name
  const rowName = role === "row" && inGrid(el);
  if ((FROM_CONTENT.has(role) || rowName) && embeddedValue(el) === null && el.localName !== "input") {
    const content = fold(nameFrom(el, true));
    if (content) return content;
  }
  if (role === "generic" || role === "none") return "";
  return fold(el.getAttribute("title")) || fold(el.localName === "table" ? el.summary : "") || fold(el.getAttribute("placeholder") ?? el.getAttribute("aria-placeholder"));
};
