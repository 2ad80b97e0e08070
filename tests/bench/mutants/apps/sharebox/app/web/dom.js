// Elements, briefly.

export function make(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export function field(label, properties = {}) {
  const input = make("input", { autocomplete: "off", ...properties });
  return { input, box: make("div", {}, make("label", { htmlFor: input.id }, label), input) };
}

export function button(text, onclick, className = "") {
  return make("button", { type: "button", onclick, className }, text);
}

export function show(place, ...children) {
  document.querySelector(place).replaceChildren(...children);
}
