"use strict";
// Two layers of a case above each other, and a divider to move. Without this script the layers stand side by side.
const VIEWS = [["image", "errors"], ["image", "truth"], ["image", "prediction"], ["truth", "prediction"]];

function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

for (const body of document.querySelectorAll(".case .body")) {
  const layers = {};
  for (const figure of body.querySelectorAll("figure[data-layer]")) {
    layers[figure.dataset.layer] = figure.querySelector("img");
  }
  const first = layers.image;
  const left = make("img", { className: first.className, alt: "", width: first.width, height: first.height });
  const right = make("img", { className: first.className + " over", alt: "" });
  const names = [make("span", { className: "tag" }), make("span", { className: "tag after" })];
  const range = make("input", { type: "range", min: 0, max: 100, step: 0.5, value: 50 });
  const stage = make("div", { className: "stage" }, left, right, ...names, make("i", {}), range);
  const move = () => stage.style.setProperty("--at", range.value + "%");
  const buttons = VIEWS.map(([from, to]) => make("button", { type: "button", textContent: from + " | " + to }));

  const choose = (index) => {
    const [from, to] = VIEWS[index];
    left.src = layers[from].src;
    right.src = layers[to].src;
    left.alt = layers[from].alt;
    right.alt = layers[to].alt;
    names[0].textContent = from;
    names[1].textContent = to;
    range.setAttribute("aria-label", "Divider between " + from + " and " + to);
    buttons.forEach((button, other) => button.setAttribute("aria-pressed", String(other === index)));
  };
  buttons.forEach((button, index) => button.addEventListener("click", () => choose(index)));
  range.addEventListener("input", move);
  stage.style.setProperty("--ratio", first.getAttribute("width") / first.getAttribute("height"));
  choose(0);
  move();
  const views = make("div", { className: "views" }, ...buttons);
  views.setAttribute("role", "group");
  views.setAttribute("aria-label", "What to compare");
  body.prepend(make("div", { className: "compare" }, views, stage));
  body.classList.add("live");
}
