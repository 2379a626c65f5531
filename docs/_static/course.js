const create = (tag, attributes) => Object.assign(document.createElement(tag), attributes);

// 1. Show the frames of an interactive figure one at a time. Without this script they appear below each other.
for (const group of document.querySelectorAll(".frames:not(.live)")) {
  const frames = [...group.querySelectorAll(":scope > .frame")];
  if (frames.length < 2) continue;
  const labels = frames.map((frame) => frame.querySelector(".caption-text").textContent.trim());

  const slider = create("input", { type: "range", min: 1, max: frames.length, value: 1 });
  slider.setAttribute("aria-label", "Frame");
  const back = create("button", { type: "button", textContent: "Previous" });
  const forward = create("button", { type: "button", textContent: "Next" });
  const count = create("output", { className: "frames-count" });
  const controls = create("div", { className: "frames-controls" });
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
  for (const formula of document.querySelectorAll(".bd-article :is(div.math mjx-container, span.math)")) {
    if (formula.scrollWidth > formula.clientWidth + 1) formula.tabIndex = 0;
    else formula.removeAttribute("tabindex");
  }
}
window.addEventListener("load", () => window.MathJax?.startup?.promise.then(reachWideFormulas));
window.addEventListener("resize", reachWideFormulas);

// 3. Ask for a prediction before showing what was measured. Without this script the answer follows the question.
document.querySelectorAll(".answer").forEach((answer, number) => {
  const asked = answer.previousElementSibling.querySelector(".cell_output");
  const measured = answer.querySelector(".measured");
  const legend = create("legend");
  legend.append(...asked.querySelector("p").childNodes);
  const choices = [...asked.querySelectorAll("li")].map((item) => {
    const choice = create("label");
    const words = create("span", { textContent: item.textContent.trim() });
    choice.append(create("input", { type: "radio", name: `prediction-${number}` }), words);
    return choice;
  });
  const news = create("p", { className: "prediction-news" });
  news.setAttribute("role", "status");
  const question = create("fieldset", { className: "prediction" });
  question.append(legend, ...choices, news);
  asked.replaceChildren(question);

  const line = create("p", { className: "answer-line", textContent: "Make your prediction above to see what was measured. " });
  const anyway = create("button", { type: "button", textContent: "Show me anyway" });
  line.append(anyway);
  answer.before(line);
  answer.classList.add("answer-closed");
  answer.tabIndex = -1;
  const compared = create("p", { className: "compared" });
  compared.textContent = "You made no prediction here. You can still make one above.";
  measured.append(compared);

  question.addEventListener("change", (event) => {
    const picked = event.target.parentElement;
    const right = choices.indexOf(picked) === Number(measured.dataset.choice);
    compared.textContent = right
      ? "You predicted just that."
      : `You predicted: ${picked.textContent}. What in your reasoning would have to change?`;
    news.textContent = `Measured: ${choices[measured.dataset.choice].textContent}. ${compared.textContent}`;
    openAnswer(answer);
  });
  anyway.addEventListener("click", () => {
    openAnswer(answer);
    answer.focus(); // the button, which had the focus, is gone
  });
});

function openAnswer(answer) {
  if (answer.classList.contains("answer-closed")) answer.previousElementSibling.remove(); // the line with the button
  answer.classList.remove("answer-closed");
}

// 4. A link into an answer opens it. (Browsers open folded code themselves.)
function openTarget() {
  const target = document.getElementById(location.hash.slice(1));
  const answer = target?.closest(".answer-closed");
  if (!answer) return;
  openAnswer(answer);
  target.scrollIntoView();
}
window.addEventListener("hashchange", openTarget);
openTarget();
