// Controls and pictures that the live figures share.

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name in element && !name.startsWith("aria")) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

const clamp = (x, low, high) => Math.min(high, Math.max(low, x));
const round = (x, digits = 2) => x.toFixed(digits).replace(/^-(?=.*[1-9])/, "\u2212").replace(/^-/, "");

const button = (text, pressed, label = text) => {
  const element = make("button", { type: "button", "aria-label": label }, text);
  element.addEventListener("click", pressed);
  return element;
};

const buttons = (label, ...children) => make("div", { className: "live-buttons", role: "group", "aria-label": label }, ...children);

// Radio buttons. `changed` is called with the number of the one that was chosen.
function choices(label, names, chosen, changed) {
  const key = `live-${Math.random()}`;
  const options = names.map((name, k) => {
    const option = make("input", { type: "radio", name: key, checked: k === chosen });
    option.addEventListener("change", () => changed(k));
    return make("label", {}, option, ` ${name}`);
  });
  return make("fieldset", { className: "live-choices" }, make("legend", {}, label), ...options);
}

// A slider with its name and its number.
function slider(name, low, high, step, moved, { digits = 1, label = name } = {}) {
  const number = make("output");
  const input = make("input", { type: "range", min: low, max: high, step, "aria-label": label });
  const text = make("span", {}, name);
  const place = (value, shown = round(value, digits)) => {
    input.value = value;
    number.textContent = shown;
    input.setAttribute("aria-valuetext", number.textContent);
  };
  input.addEventListener("input", () => {
    const value = Number(input.value);
    place(value);
    moved(value);
  });
  const row = make("label", { className: "live-slider" }, text, input, number);
  return { row, place, rename: (name, label) => ((text.textContent = name), input.setAttribute("aria-label", label)) };
}

// A bar with its name and its number.
function bar(name, most) {
  const [filled, number] = [make("span", { className: "live-filled" }), make("output")];
  const rail = make("span", { className: "live-rail" }, filled);
  return {
    row: make("div", { className: "live-bar" }, make("span", {}, name), number, rail),
    show(value) {
      filled.style.width = `${100 * clamp(value / most, 0, 1)}%`;
      number.textContent = `${round(value, 1)} nats`;
    },
  };
}

// A picture of side × side greys between 0 and 1.
function picture(side, label) {
  const canvas = make("canvas", { width: side, height: side, className: "live-picture", role: "img", "aria-label": label });
  const paint = canvas.getContext("2d");
  const image = paint.createImageData(side, side);
  return {
    canvas,
    show(greys) {
      greys.forEach((grey, k) => image.data.set([255 * grey, 255 * grey, 255 * grey, 255], 4 * k));
      paint.putImageData(image, 0, 0);
    },
  };
}

const PEN_KEYS = "arrow keys move the pen, Space lowers and lifts it, Delete clears";

// A black square to draw on in white, by mouse, pen, finger or keyboard. `changed` gets all pixels, zeros and ones, after
// each stroke; `told` gets a sentence on where the pen is.
function sheet(side, label, changed, told = () => {}) {
  const { canvas, show } = picture(side, `${label}: ${PEN_KEYS}`);
  canvas.setAttribute("role", "application");
  canvas.tabIndex = 0;
  canvas.classList.add("live-sheet");
  canvas.style.cssText = "touch-action: none; cursor: crosshair; image-rendering: pixelated";
  const pixels = new Uint8Array(side * side);
  let [row, column, down, replaceable] = [side >> 1, side >> 1, false, false];

  function shown() {
    const greys = Float32Array.from(pixels);
    const pen = row * side + column;
    if (document.activeElement === canvas) greys[pen] = pixels[pen] ? 0.7 : 0.4;
    show(greys);
  }
  function fill(values, { tell = true, replaceable: byNextStroke = false } = {}) {
    replaceable = byNextStroke;
    pixels.set(values);
    shown();
    if (tell) changed(pixels);
  }
  function dot(r, c) {
    for (const [dr, dc] of [[0, 0], [0, 1], [1, 0], [1, 1]])
      if (r + dr < side && c + dc < side) pixels[(r + dr) * side + c + dc] = 1;
  }
  function move(r, c) {
    if (down && replaceable) pixels.fill(0);
    if (down) replaceable = false;
    const steps = Math.max(Math.abs(r - row), Math.abs(c - column), 1);
    for (let k = 0; down && k <= steps; k++)
      dot(Math.round(row + ((r - row) * k) / steps), Math.round(column + ((c - column) * k) / steps));
    [row, column] = [r, c];
    shown();
    if (down) changed(pixels);
  }
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    const shares = [(event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width];
    return shares.map((share) => clamp(Math.floor(share * side), 0, side - 1));
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    [row, column] = at(event);
    down = true;
    move(row, column);
  });
  canvas.addEventListener("pointermove", (event) => event.buttons && move(...at(event)));
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => ((down = false), shown()));
  const arrows = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  canvas.addEventListener("keydown", (event) => {
    if (event.key in arrows) {
      const [dr, dc] = arrows[event.key];
      move(clamp(row + dr, 0, side - 1), clamp(column + dc, 0, side - 1));
    } else if (event.key === " ") {
      down = !down;
      move(row, column);
    } else if (event.key === "Delete" || event.key === "Backspace") fill(new Uint8Array(side * side));
    else return;
    event.preventDefault();
    told(`Row ${row + 1}, column ${column + 1}, pen ${down ? "down" : "up"}.`);
  });
  for (const name of ["focus", "blur"]) canvas.addEventListener(name, () => ((down &&= name === "focus"), shown()));
  return { canvas, fill };
}
