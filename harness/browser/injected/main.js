// Empty what this document's origin stores for the tab, and say whose that was: "" of a document that has no storage.
const wipe = () => {
  try {
    sessionStorage.clear();
    localStorage.clear();
    return location.origin;
  } catch {
    return "";
  }
};

const MOST_TOO_WIDE = 3;

// Outer tags of what makes the page scroll sideways, the innermost ones: what is around them is only as wide as they are.
const tooWide = () => {
  const edge = document.documentElement.clientWidth + 1;
  const sticksOut = (el) => {
    const { left, right } = el.getBoundingClientRect(), style = getComputedStyle(el);
    return style.position !== "fixed" && (style.overflowX === "visible" ? Math.max(right, left + el.scrollWidth) : right) > edge;
  };
  const wide = [...document.body.querySelectorAll("*")].filter(sticksOut);
  const around = new Set(wide.map((el) => el.parentElement));
  return wide.filter((el) => !around.has(el)).slice(0, MOST_TOO_WIDE).map(outerTag);
};

const lookOf = (el) => {
  const { color } = getComputedStyle(el);
  const behind = coloursBehind(el);
  return `text ${color} on ${behind ? behind.map((rgb) => `rgb(${rgb.map(Math.round).join(", ")})`).join(" to ") : "a picture"}`;
};

// Where the page is and how it looks as a whole.
const page = () => {
  const overflows = document.documentElement.scrollWidth > document.documentElement.clientWidth + 1;
  return { url: location.href, title: document.title, overflow_x: overflows, too_wide: overflows ? tooWide() : [],
    look: document.body ? lookOf(document.body) : "" };
};

// What the worker may call.
globalThis.harness = {
  observe, watch, aim, aimReadily, readied, choose, checkedNow, isAimedThere, theAimed, settle, snapshot, disturb, undo, keepGhost,
  freeze, readStorage, putStorage, nameOf, roleOf, asked, veil, unveil, keepAnswers, unnamedControls,
  stageOf, covers, hits, locate, staged, refOf,
  page,
  readClipboard: () => navigator.clipboard ? navigator.clipboard.readText() : "",
  writeClipboard: (text) => navigator.clipboard?.writeText(text),
  wipe,
};
