// 1. Show the frames of an interactive figure one at a time. Without this script they appear below each other.
for (const group of document.querySelectorAll(".frames")) {
  const frames = [...group.querySelectorAll(":scope > .frame")];
  if (frames.length < 2) continue;
  const labels = frames.map((frame) => frame.querySelector(".caption-text").textContent.trim());

  const make = (tag, attributes) => Object.assign(document.createElement(tag), attributes);
  const slider = make("input", { type: "range", min: 1, max: frames.length, value: 1 });
  slider.setAttribute("aria-label", "Frame");
  const back = make("button", { type: "button", textContent: "Previous" });
  const forward = make("button", { type: "button", textContent: "Next" });
  const count = make("output", { className: "frames-count" });
  const controls = make("div", { className: "frames-controls" });
  controls.append(back, slider, forward, count);
  group.prepend(controls);
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", `Figure in ${frames.length} frames`);
  group.classList.add("frames-alive");

  const show = (number) => {
    slider.value = number;
    frames.forEach((frame, k) => frame.classList.toggle("frame-shown", k + 1 === number));
    slider.setAttribute("aria-valuetext", `${number} of ${frames.length}: ${labels[number - 1]}`);
    count.textContent = `${number} of ${frames.length}`;
    back.disabled = number === 1;
    forward.disabled = number === frames.length;
  };
  const step = (by, button, other) => {
    show(Number(slider.value) + by);
    if (button.disabled) other.focus(); // a disabled button would lose the keyboard focus
  };
  slider.addEventListener("input", () => show(Number(slider.value)));
  back.addEventListener("click", () => step(-1, back, forward));
  forward.addEventListener("click", () => step(1, forward, back));
  show(1);
}

// 2. A formula wider than the page scrolls, so it must be reachable by keyboard.
function reachWideFormulas() {
  for (const formula of document.querySelectorAll("mjx-container[display]")) {
    if (formula.scrollWidth > formula.clientWidth) formula.tabIndex = 0;
    else formula.removeAttribute("tabindex");
  }
}
window.addEventListener("load", () => window.MathJax?.startup?.promise.then(reachWideFormulas));
window.addEventListener("resize", reachWideFormulas);
