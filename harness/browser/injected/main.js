// What the worker may call.
globalThis.harness = {
  observe, aim, prepareFill, focusEnd, choose, checkedNow, isAimedThere, theAimed, settle, snapshot, disturb, undo, keepGhost,
  freeze, readStorage, putStorage, nameOf, roleOf,
  page: () => ({ url: location.href, title: document.title,
    overflow_x: document.documentElement.scrollWidth > document.documentElement.clientWidth + 1 }),
  wipe: () => { sessionStorage.clear(); localStorage.clear(); return true; },
};
