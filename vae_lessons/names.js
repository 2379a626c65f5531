// ipywidgets gives sliders, button groups and pictures no accessible names, and JupyterLab intercepts their arrow keys.
// This names them after the label beside them or, if there is none, after the text of the hidden widget `Names`. It
// also stops JupyterLab from handling their keys.
const set = (element, attributes) => {
  for (const [name, value] of Object.entries(attributes))
    if (element && element.getAttribute(name) !== value) element.setAttribute(name, value);
};

function nameAll(box, text, group) {
  for (const control of box.children) {
    const name = control.querySelector(":scope > .widget-label")?.textContent || text;
    const readout = control.querySelector(".widget-readout");
    set(control.querySelector("[role=slider]"), { "aria-label": name, "aria-valuetext": readout?.textContent });
    set(readout, { role: "textbox", "aria-label": `${name}, as a number` });
    set(control.querySelector(".widget-radio-box"), { role: "radiogroup", "aria-label": name });
    for (const radio of control.querySelectorAll("input[type=radio]")) set(radio, { name: group });
    if (control.matches(".widget-toggle-buttons")) set(control, { role: "group", "aria-label": name });
    for (const button of control.querySelectorAll(".widget-toggle-button"))
      set(button, { "aria-pressed": String(button.matches(".mod-active")) });
    if (control.matches("img")) set(control, { alt: text });
    if (control.matches(".course-words")) set(control, { "aria-live": "polite" });
    for (const focusable of control.querySelectorAll("[tabindex], input, button"))
      set(focusable, { "data-lm-suppress-shortcuts": "true" });
  }
}

export default {
  render({ model, el }) {
    let alive = true;
    const group = `group-${Math.random()}`;
    const watcher = new MutationObserver(() => follow());
    const watched = { subtree: true, childList: true, attributeFilter: ["aria-valuetext", "class"] };
    const follow = () => {
      const box = el.closest(".widget-vbox");
      if (!box) return alive && requestAnimationFrame(follow); // not in the page yet
      nameAll(box, model.get("text"), group);
      watcher.takeRecords(); // discard the changes that nameAll made
      watcher.observe(box, watched);
    };
    follow();
    return () => {
      alive = false;
      watcher.disconnect();
    };
  },
};
