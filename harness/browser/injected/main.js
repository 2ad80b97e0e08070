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

// What the worker may call.
globalThis.harness = {
  observe, watch, aim, aimReadily, readied, choose, checkedNow, isAimedThere, theAimed, settle, snapshot, disturb, undo, keepGhost,
  freeze, readStorage, putStorage, nameOf, roleOf, asked, veil, unveil, keepAnswers, unnamedControls,
  stageOf, covers, hits, locate, staged, refOf,
  page: () => ({ url: location.href, title: document.title,
    overflow_x: document.documentElement.scrollWidth > document.documentElement.clientWidth + 1 }),
  readClipboard: () => navigator.clipboard ? navigator.clipboard.readText() : "",
  writeClipboard: (text) => navigator.clipboard?.writeText(text),
  wipe,
};
