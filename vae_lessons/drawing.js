// A square grid of pixels to draw on with a mouse, pen, finger or keyboard. The kernel receives all pixels as bytes.
const SCALE = 7; // screen pixels per drawn pixel

export default {
  render({ model, el }) {
    const side = model.get("side");
    const pixels = new Uint8Array(side * side);
    const [canvas, status, clear] = ["canvas", "output", "button"].map((tag) => document.createElement(tag));
    Object.assign(canvas, { width: side * SCALE, height: side * SCALE, tabIndex: 0 });
    canvas.style.cssText = "touch-action: none; cursor: crosshair; border: 1px solid gray;";
    canvas.setAttribute("role", "application");
    const keys = "arrow keys move the pen, Space lowers and lifts it, Delete clears";
    canvas.setAttribute("aria-label", `${model.get("description")}: ${keys}`);
    clear.textContent = "Clear";
    clear.className = "jupyter-button";
    const help = document.createElement("div");
    help.append(clear, ` Draw, or use the keyboard: ${keys}. `, status);
    el.append(canvas, help);

    let [row, column, down] = [side >> 1, side >> 1, false]; // of the pen
    const paint = canvas.getContext("2d");

    function show() {
      for (let i = 0; i < pixels.length; i++) {
        paint.fillStyle = pixels[i] ? "white" : "black";
        paint.fillRect((i % side) * SCALE, Math.floor(i / side) * SCALE, SCALE, SCALE);
      }
      paint.lineWidth = 2;
      paint.strokeStyle = down ? "red" : "gray";
      if (document.activeElement === canvas)
        paint.strokeRect(column * SCALE, row * SCALE, SCALE, SCALE);
    }

    function send() {
      show();
      model.set("value", new DataView(pixels.slice().buffer));
      model.save_changes();
    }

    function wipe() {
      pixels.fill(0);
      send();
    }

    function dot(r, c) {
      for (const [dr, dc] of [[0, 0], [0, 1], [1, 0], [1, 1]])
        if (r + dr >= 0 && r + dr < side && c + dc >= 0 && c + dc < side) pixels[(r + dr) * side + c + dc] = 1;
    }

    function move(r, c) {
      const steps = Math.max(Math.abs(r - row), Math.abs(c - column), 1);
      const [from, across] = [row, column];
      if (down)
        for (let i = 0; i <= steps; i++)
          dot(Math.round(from + ((r - from) * i) / steps), Math.round(across + ((c - across) * i) / steps));
      [row, column] = [r, c];
      down ? send() : show();
    }

    const at = (event) => [event.offsetY, event.offsetX].map((x) => Math.min(side - 1, Math.max(0, Math.floor(x / SCALE))));
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      [row, column] = at(event);
      down = true;
      move(row, column);
    });
    canvas.addEventListener("pointermove", (event) => event.buttons && move(...at(event)));
    canvas.addEventListener("pointerup", () => ((down = false), show()));

    const arrows = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    canvas.addEventListener("keydown", (event) => {
      if (event.key in arrows) {
        const [dr, dc] = arrows[event.key];
        move(Math.min(side - 1, Math.max(0, row + dr)), Math.min(side - 1, Math.max(0, column + dc)));
      } else if (event.key === " ") {
        down = !down;
        move(row, column);
      } else if (event.key === "Delete" || event.key === "Backspace") wipe();
      else return;
      event.preventDefault();
      status.textContent = `Row ${row + 1}, column ${column + 1}, pen ${down ? "down" : "up"}.`;
    });
    for (const name of ["focus", "blur"]) canvas.addEventListener(name, () => ((down &&= name === "focus"), show()));
    clear.addEventListener("click", wipe);

    function follow() {
      const value = model.get("value");
      pixels.set(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
      show();
    }
    model.on("change:value", follow);
    follow();
    return () => model.off("change:value", follow);
  },
};
