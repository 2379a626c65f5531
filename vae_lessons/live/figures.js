// The live figures with a network. Each function fills an element, once its weights have been loaded.

const figures = {};
const bytesOf = (array) => Uint8Array.from(atob(array.data), (letter) => letter.charCodeAt(0));
const numbersOf = (array) => fromHalf(bytesOf(array));
const networkOf = (array) => network(array.sizes, numbersOf(array));
const greysOf = (logits) => Array.from(logits, sigmoid);
// The examples of digits, one of each class, whose pixels are bits.
const examplesOf = (array) => {
  const bytes = bytesOf(array);
  return Array.from({ length: 10 }, (_, digit) =>
    Uint8Array.from({ length: 784 }, (_, k) => (bytes[digit * 98 + (k >> 3)] >> (7 - (k & 7))) & 1));
};
const digitButtons = (chosen) =>
  Array.from({ length: 10 }, (_, digit) => button(`${digit}`, () => chosen(digit), `Example: a ${digit}`));

// 1. The whole machine: a picture, the Gaussians that the encoder makes of it, a draw from them, the decoder's picture,
// and the loss.
figures.machine = async (element, load) => {
  const arrays = await load("machine");
  const examples = examplesOf(arrays["digit examples"]);
  const betas = ["0.1", "1", "8"];
  const machines = betas.map((beta) => ["encoder", "decoder"].map((half) => networkOf(arrays[`digit ${beta} ${half}`])));
  const [n, low, high] = [8, -5, 5];
  const normal = normals(1);
  const draws = (count) => Array.from({ length: count }, () => Float32Array.from({ length: n }, normal));
  let [beta, x, mu, sigma, noise, chosen, moved] = [1, new Uint8Array(784), [], [], 1, 0, false];
  let [eps] = draws(1);
  let fresh = draws(10);
  const many = draws(25); // for the average of the reconstruction term

  const pen = make("output", { className: "live-pen" });
  const drew = (pixels) => {
    x = pixels.slice();
    encode();
  };
  const paper = sheet(28, "Draw a digit", drew, (words) => (pen.textContent = words));
  const drawn = picture(28, "The decoder's picture: for each pixel the probability that it is white");
  const others = fresh.map((_, k) => picture(28, `Picture from the prior, number ${k + 1}`));
  const draw = (eps) => Float32Array.from(mu, (m, k) => m + noise * sigma[k] * eps[k]);
  const rows = Array.from({ length: n }, (_, k) => {
    const [range, mean, knob, words] = ["range", "mean", "z", "words"].map((part) => make("span", { className: `live-${part}` }));
    const line = make("span", { className: "live-line", tabIndex: 0, role: "slider", "aria-label": `z ${k + 1}`,
      "aria-valuemin": low, "aria-valuemax": high }, range, mean, knob);
    const to = (value) => {
      [chosen, moved] = [k, true];
      const wanted = clamp(value, low, high);
      if (noise) eps[k] = (wanted - mu[k]) / (noise * sigma[k]);
      else mu[k] = wanted;
      update();
    };
    const drag = (event) => {
      const box = line.getBoundingClientRect();
      to(low + ((event.clientX - box.left) / box.width) * (high - low));
    };
    line.addEventListener("pointerdown", (event) => (line.setPointerCapture(event.pointerId), drag(event)));
    line.addEventListener("pointermove", (event) => event.buttons && drag(event));
    line.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 0.1, ArrowUp: 0.1, ArrowLeft: -0.1, ArrowDown: -0.1, PageUp: 1, PageDown: -1 }[event.key];
      if (!by) return;
      event.preventDefault();
      to(draw(eps)[k] + by);
    });
    line.addEventListener("focus", () => ((chosen = k), update()));
    const place = (value) => `${100 * clamp((value - low) / (high - low), 0, 1)}%`;
    return {
      row: make("div", { className: "live-latent" }, make("b", {}, `z${k + 1}`), line, words),
      show(z) {
        range.style.left = place(mu[k] - sigma[k]);
        range.style.right = place(-mu[k] - sigma[k]);
        mean.style.left = place(mu[k]);
        knob.style.left = place(z);
        line.classList.toggle("live-chosen", k === chosen);
        line.setAttribute("aria-valuenow", clamp(z, low, high).toFixed(2));
        line.setAttribute("aria-valuetext", `${round(z)}, mean ${round(mu[k])}, standard deviation ${round(sigma[k])}`);
        words.textContent = `μ ${round(mu[k])}, σ ${round(sigma[k])}, z ${round(z)}`;
      },
    };
  });
  const sliders = [
    slider("μ", low, high, 0.01, (value) => ((mu[chosen] = value), update()), { digits: 2 }),
    slider("σ", 0.01, 2, 0.01, (value) => ((sigma[chosen] = value), update()), { digits: 2 }),
  ];
  const [reconstruction, kl] = [bar("Reconstruction: −log p(x|z), average of 25 draws", 300), bar("KL: distance of the Gaussians from N(0, I)", 300)];
  const [sum, here] = [make("output", { className: "live-sum" }), make("output", { className: "live-sum" })];

  function encode() {
    const out = machines[beta][0](x);
    mu = Array.from(out.subarray(0, n));
    sigma = Array.from(out.subarray(n), (logVariance) => Math.exp(logVariance / 2));
    if (moved) [eps] = draws(1); // where a dot was dragged to means nothing for other numbers
    moved = false;
    update();
  }
  function update() {
    const [now, decode] = [draw(eps), machines[beta][1]];
    const costOf = (z) => bernoulliCost(x, decode(z));
    const logits = decode(now);
    drawn.show(greysOf(logits));
    here.textContent = `−log p(x|z) of this draw: ${round(bernoulliCost(x, logits), 1)} nats`;
    rows.forEach((row, k) => row.show(now[k]));
    ["μ", "σ"].forEach((name, k) => {
      sliders[k].rename(`${name} of z${chosen + 1}`, `${name} of z${chosen + 1}`);
      sliders[k].place([mu, sigma][k][chosen]);
    });
    const average = noise ? total(many.map((eps) => costOf(draw(eps)))) / many.length : costOf(now);
    const [cost, divergence] = [average, klToStandardNormal(mu, sigma)];
    reconstruction.show(cost);
    kl.show(divergence);
    const weight = Number(betas[beta]);
    const terms = `${round(cost, 1)} + ${weight === 1 ? "" : `${weight} × `}${round(divergence, 1)}`;
    const value = round(cost + weight * divergence, 1);
    const isElbo = weight === 1 && noise === 1;
    sum.textContent = `Loss: ${terms} = ${value}` + (isElbo ? " nats. It estimates −ELBO." : ". It estimates −ELBO only with β = 1 and the noise on.");
  }
  function again() {
    [eps] = draws(1);
    fresh = draws(10);
    invent();
    update();
  }
  const invent = () => fresh.forEach((z, k) => others[k].show(greysOf(machines[beta][1](z))));

  element.replaceChildren(
    make("div", { className: "live-all" }, choices("A VAE trained with β =", betas, beta, (k) => ((beta = k), invent(), encode()))),
    make("div", { className: "live-x" }, make("p", {}, make("b", {}, "Draw x here")), paper.canvas),
    make("div", { className: "live-pick" }, pen,
      buttons("Examples", ...digitButtons((digit) => paper.fill(examples[digit], { replaceable: true })),
        button("Clear", () => paper.fill(new Uint8Array(784)))),
      choices("Noise", ["off", "on", "twice"], 1, (k) => ((noise = k), update())),
      buttons("Changes", button("Draw again", again), button("Set μ to 0, σ to 1", () => ((mu = mu.map(() => 0)), (sigma = sigma.map(() => 1)), update())),
        button("Reset μ, σ", encode))),
    make("div", { className: "live-latents" },
      make("p", {}, make("b", {}, "The encoder's eight Gaussians,"), " each with mean μ (line) and standard deviation σ (band), and a draw z from each (dot; without noise z = μ). A tick is 1. Drag the dots."),
      ...rows.map((row) => row.row), ...sliders.map((one) => one.row)),
    make("div", { className: "live-decoded" }, make("p", {}, make("b", {}, "Decoded")), drawn.canvas),
    make("div", { className: "live-loss" }, here, reconstruction.row, kl.row, sum),
    make("div", { className: "live-prior" }, make("p", {}, make("b", {}, "New pictures:"), " z drawn from N(0, I), without any x, and decoded"),
      make("div", { className: "live-row" }, ...others.map((one) => one.canvas))),
  );
  invent();
  paper.fill(examples[2], { replaceable: true });
};

// 2. The codes of an autoencoder and of a VAE with two latents: where the training digits' codes lie, and what a point, and
// points near it, decode to.
const COLOURS = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#999999", "#e67e22", "#7f5539", "#2f9e8f"];
figures.planes = async (element, load) => {
  const arrays = await load("planes");
  const labels = bytesOf(arrays.labels);
  const examples = examplesOf(arrays["digit examples"]);
  const normal = normals(2);
  const eps = Array.from({ length: 10 }, () => [normal(), normal()]);
  const size = 600;
  let [radius, place] = [0.3, null]; // place: where all points go, the number of an example, or shares of the planes

  // What is known of one trained network: its decoder, the ends and spread of both axes, and its cloud of codes, drawn.
  function trained(name) {
    const codes = numbersOf(arrays[`${name} codes`]);
    const axes = [0, 1].map((k) => {
      const values = Array.from(labels, (_, i) => codes[2 * i + k]).sort((a, b) => a - b);
      const margin = 0.05 * (values.at(-1) - values[0]);
      return { low: values[0] - margin, high: values.at(-1) + margin };
    });
    const pixel = (k, value) => {
      const share = (value - axes[k].low) / (axes[k].high - axes[k].low);
      return size * (k ? 1 - share : share);
    };
    const cloud = make("canvas", { width: size, height: size });
    const dots = cloud.getContext("2d");
    labels.forEach((label, i) => {
      dots.fillStyle = COLOURS[label];
      dots.fillRect(pixel(0, codes[2 * i]) - 3, pixel(1, codes[2 * i + 1]) - 3, 6, 6);
    });
    return { decode: networkOf(arrays[`${name} decoder`]), examples: numbersOf(arrays[`${name} examples`]), axes, pixel, cloud,
      factor: choleskyOf(codes) };
  }

  const sides = [["plain", "autoencoder", "Plain autoencoder"], ["vae", "VAE", "VAE"]].map(([kind, words, title]) => {
    const both = ["best", "late"].map((when) => trained(`${kind} ${when}`));
    let net = both[0];
    const point = [0, 0];
    const canvas = make("canvas", { width: size, height: size, className: "live-plane", role: "img",
      "aria-label": `Codes of 1,000 digits, and a point, in the plane of the ${words}. The sliders move the point.` });
    const paint = canvas.getContext("2d");
    const decoded = picture(28, `What the ${words}'s point decodes to`);
    const nudged = eps.map((_, k) => picture(28, `A nudged point of the ${words}, decoded, number ${k + 1}`));
    const sliders = [0, 1].map((k) =>
      slider(`z${k + 1}`, 0, 1, 0.005, (share) => {
        point[k] = net.axes[k].low + share * (net.axes[k].high - net.axes[k].low);
        update();
      }, { label: `z${k + 1} in the ${words}` }));
    const circle = (z, radius, width) => {
      for (const [colour, thickness] of [["white", width + 6], ["black", width]]) {
        paint.beginPath();
        paint.arc(net.pixel(0, z[0]), net.pixel(1, z[1]), radius, 0, 7);
        [paint.strokeStyle, paint.lineWidth] = [colour, thickness];
        paint.stroke();
      }
    };

    function update() {
      const [[a], [b, c]] = net.factor;
      const near = eps.map(([e, f]) => [point[0] + radius * a * e, point[1] + radius * (b * e + c * f)]);
      paint.clearRect(0, 0, size, size);
      paint.drawImage(net.cloud, 0, 0);
      for (const z of near) circle(z, 5, 6);
      circle(point, 20, 6);
      const [logits, around] = [net.decode(Float32Array.from(point)), near.map((z) => net.decode(Float32Array.from(z)))];
      decoded.show(greysOf(logits));
      around.forEach((logits, k) => nudged[k].show(greysOf(logits)));
      if (typeof place === "number") {
        const [here, there] = [[logits], around].map((all) => total(all.map((logits) => bernoulliCost(examples[place], logits))) / all.length);
        costs.textContent = `−log p(x|z) of the digit: ${round(here, 0)} nats; average of the ten: ${round(there, 0)} nats`;
      } else costs.textContent = "";
      sliders.forEach((one, k) => one.place((point[k] - net.axes[k].low) / (net.axes[k].high - net.axes[k].low), round(point[k], 1)));
    }
    function go(where) {
      net.axes.forEach(({ low, high }, k) => {
        point[k] = typeof where === "number" ? net.examples[2 * where + k] : low + where[k] * (high - low);
      });
      update();
    }
    const follow = (event) => {
      const box = canvas.getBoundingClientRect();
      go([(event.clientX - box.left) / box.width, (box.bottom - event.clientY) / box.height].map((share) => clamp(share, 0, 1)));
    };
    canvas.addEventListener("pointerdown", (event) => (canvas.setPointerCapture(event.pointerId), follow(event)));
    canvas.addEventListener("pointermove", (event) => event.buttons && follow(event));
    const costs = make("output", { className: "live-sum" });
    const truth = picture(28, `The digit to whose code the ${words}'s point was sent`);
    const column = make("div", { className: "live-side" }, make("p", {}, make("b", {}, title)), canvas,
      ...sliders.map((one) => one.row), make("p", {}, "The digit, and the point decoded:"),
      make("div", { className: "live-pair" }, truth.canvas, decoded.canvas), costs,
      make("p", {}, "Ten points near it, decoded:"), make("div", { className: "live-row live-fives" }, ...nudged.map((one) => one.canvas)));
    return { column, truth, update, go, train: (k) => ((net = both[k]), go(place)) };
  });
  const send = (where) => {
    place = where;
    for (const side of sides) {
      side.truth.canvas.style.visibility = typeof where === "number" ? "visible" : "hidden";
      if (typeof where === "number") side.truth.show(Array.from(examples[where]));
      side.go(where);
    }
  };
  const nudge = slider("nudge", 0, 1, 0.05, (value) => ((radius = value), sides.forEach((side) => side.update())),
    { digits: 2, label: "Nudge: the distance of the ten points, in units of the spread of all codes" });
  nudge.place(radius);
  const key = make("p", { className: "live-key" }, "Colours: ", ...COLOURS.map((colour, digit) => {
    const dot = make("span", { className: "live-dot" });
    dot.style.background = colour;
    return make("span", {}, dot, `${digit} `);
  }));
  element.replaceChildren(
    make("div", { className: "live-all" },
      choices("Both trained", ["to their best epoch", "for 450 epochs"], 0, (k) => sides.forEach((side) => side.train(k))),
      make("p", {}, "Send both points to the code of a new digit, or to a random place:"),
      buttons("Where to", ...digitButtons(send), button("Random place", () => send([Math.random(), Math.random()]))),
      nudge.row, make("p", {}, "The nudge is in units of the spread of all codes."), key),
    ...sides.map((side) => side.column));
  send(0);
};

// 3. A face from ten numbers, and two directions in which to move all ten at once.
figures.face = async (element, load) => {
  const arrays = await load("face");
  const decode = networkOf(arrays["face decoder"]);
  const [people, mean, cholesky, smile, glasses] = ["people", "mean", "cholesky", "smile", "glasses"].map((name) => numbersOf(arrays[`face ${name}`]));
  const [n, normal] = [smile.length, normals(3)];
  const shown = picture(48, "The decoder's face");
  const steps = { smile: 0, glasses: 0 };
  let [z, person] = [[], -1];

  function update() {
    const moved = z.map((value, k) => value + steps.smile * smile[k] + steps.glasses * glasses[k]);
    shown.show(greysOf(decode(Float32Array.from(moved))));
    latents.forEach((one, k) => one.place(z[k]));
  }
  const latents = Array.from({ length: n }, (_, k) => slider(`z${k + 1}`, -7, 7, 0.05, (value) => ((z[k] = value), update())));
  const vectors = ["smile", "glasses"].map((name) => slider(`+ ${name}`, -2, 2, 0.05, (value) => ((steps[name] = value), update()), { label: name }));
  function become(codes) {
    z = Array.from(codes);
    vectors.forEach((one, k) => (one.place(0), (steps[["smile", "glasses"][k]] = 0)));
    update();
  }
  const next = () => {
    person = (person + 1) % (people.length / n);
    become(people.subarray(n * person, n * (person + 1)));
  };
  const fitted = () => {
    const eps = z.map(normal);
    become(mean.map((m, i) => m + total(eps.map((e, j) => cholesky[n * i + j] * e))));
  };
  element.replaceChildren(
    make("div", { className: "live-portrait" }, shown.canvas,
      buttons("People", button("Next person", next)),
      make("p", {}, "Invent somebody, with z from"),
      buttons("Invented people", button("N(0, I)", () => become(z.map(normal)), "z from N(0, I)"),
        button("where people's z lie", fitted, "z from where people's z lie"))),
    make("div", { className: "live-latents" },
      make("p", {}, make("b", {}, "Two fixed directions,"), " added to the ten numbers:"), ...vectors.map((one) => one.row),
      make("p", {}, make("b", {}, "The ten numbers:")), ...latents.map((one) => one.row)),
  );
  next();
};
