// Fills each element of the classes "live" and "live-NAME" when it comes near the window. Weights come in scripts, since
// a page that is opened from a disk may load scripts and nothing else.
const folder = document.currentScript.src.replace(/[^/]*$/, "");
const arrived = {};
window.receiveWeights = (name, arrays) => arrived[name](arrays);
const load = (name) =>
  new Promise((resolve, reject) => {
    arrived[name] = resolve;
    const script = make("script", { src: `${folder}weights_${name}.js` });
    script.onerror = () => reject(new Error("The figure's numbers could not be loaded."));
    document.head.append(script);
  });

const coming = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    coming.unobserve(target);
    const name = Object.keys(figures).find((name) => target.classList.contains(`live-${name}`));
    const body = make("div", { className: `live-body live-${name}` });
    target.classList.remove(`live-${name}`);
    Promise.resolve(figures[name](body, load)).then(
      () => target.replaceChildren(body),
      (error) => target.append(make("p", { role: "alert" }, error.message)),
    );
  }
}, { rootMargin: "600px" });
for (const figure of document.querySelectorAll(".live")) coming.observe(figure);
