// A sheet to draw on (see live/controls.js). The kernel receives all pixels as bytes.
export default {
  render({ model, el }) {
    const status = make("output");
    const send = (pixels) => {
      model.set("value", new DataView(pixels.slice().buffer));
      model.save_changes();
    };
    const paper = sheet(model.get("side"), model.get("description"), send, (words) => (status.textContent = words));
    paper.canvas.style.width = "196px";
    const clear = button("Clear", () => paper.fill(new Uint8Array(model.get("side") ** 2)));
    clear.className = "jupyter-button";
    el.append(paper.canvas, make("div", {}, clear, ` Draw, or use the keyboard: ${PEN_KEYS}. `, status));

    function follow() {
      const value = model.get("value");
      paper.fill(new Uint8Array(value.buffer, value.byteOffset, value.byteLength), { tell: false });
    }
    model.on("change:value", follow);
    follow();
    return () => model.off("change:value", follow);
  },
};
