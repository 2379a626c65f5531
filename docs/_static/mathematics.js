// Live figures of formulas: a Gaussian's ellipse, the pull of the KL, Jensen's gap, the gap of the ELBO, and a pixel's
// losses. First the formulas, then the plots.

const evenly = (low, high, n) => Array.from({ length: n }, (_, k) => low + ((high - low) * k) / (n - 1));
const logGaussian = (x, mean, sd) => -0.5 * Math.log(2 * Math.PI) - Math.log(sd) - 0.5 * ((x - mean) / sd) ** 2;
const gaussian = (x, mean, sd) => Math.exp(logGaussian(x, mean, sd));

// Where a rising function is zero.
function root(rising, low, high) {
  for (let k = 0; k < 60; k++) {
    const middle = (low + high) / 2;
    if (rising(middle) < 0) low = middle;
    else high = middle;
  }
  return low;
}

// The model of lesson 05: one pixel, x = 0.8, whose noise has the standard deviation 0.4, and one latent.
const pixel = { x: 0.8, theta: 0.4 };
const logPXGivenZ = (z) => logGaussian(pixel.x, Math.tanh(3 * z), pixel.theta);
const NOISE = evenly(-8, 8, 161); // in steps of 0.1
const WEIGHTS = NOISE.map((e) => 0.1 * gaussian(e, 0, 1));
const average = (f, mu, sigma) => NOISE.reduce((sum, e, k) => sum + WEIGHTS[k] * f(mu + sigma * e), 0);
const LOG_P_X = Math.log(average((z) => Math.exp(logPXGivenZ(z)), 0, 1));
const logPosterior = (z) => logGaussian(z, 0, 1) + logPXGivenZ(z) - LOG_P_X;

const mathematics = {
  // The Cholesky factor [[a, 0], [b, c]] of a covariance.
  ellipse(rho, sigma1, sigma2) {
    const [a, b, c] = [sigma1, rho * sigma2, sigma2 * Math.sqrt(1 - rho ** 2)];
    return { a, b, c, determinant: a * c, lengths: [Math.hypot(a, b), c] };
  },
  pull: (mu, sigma) => ({ kl: klToStandardNormal([mu], [sigma]), mu: -mu, sigma: 1 / sigma - sigma }),
  // The Gaussians (mu, sigma) with this KL to the prior.
  ring(level) {
    const kl = (sigma) => klToStandardNormal([0], [sigma]);
    const [narrow, wide] = [root((s) => level - kl(s), 1e-6, 1), root((s) => kl(s) - level, 1, 10)];
    return evenly(0, 2 * Math.PI, 241).map((turn) => {
      const sigma = (narrow + wide) / 2 - ((wide - narrow) / 2) * Math.cos(turn);
      return [Math.sign(Math.sin(turn)) * Math.sqrt(Math.max(2 * (level - kl(sigma)), 0)), sigma];
    });
  },
  chord(low, weight) {
    const mean = (1 - weight) * low + weight * 2;
    const meanLog = (1 - weight) * Math.log(low) + weight * Math.log(2);
    return { mean, logMean: Math.log(mean), meanLog, gap: Math.log(mean) - meanLog };
  },
  elbo: (mu, sigma) => average((z) => logGaussian(z, 0, 1) + logPXGivenZ(z) - logGaussian(z, mu, sigma), mu, sigma),
  kl: (mu, sigma) => average((z) => logGaussian(z, mu, sigma) - logPosterior(z), mu, sigma),
  // The losses of a pixel x and their slopes, at the mean m that the distribution gives it.
  bernoulli: {
    loss: (x, m) => -x * Math.log(m) - (1 - x) * Math.log(1 - m),
    slope: (x, m) => (m - x) / (m * (1 - m)),
  },
  gaussian: {
    loss: (x, m, sigma) => -logGaussian(x, m, sigma),
    slope: (x, m, sigma) => (m - x) / sigma ** 2,
  },
  continuous: { // by its logit, not 0
    mean: (a) => -1 / Math.expm1(-a) - 1 / a,
    loss: (x, a) => Math.log(Math.expm1(a) / a) - a * x,
    slope: (x, a) => (mathematics.continuous.mean(a) - x) / (1 / a ** 2 - 1 / (4 * Math.sinh(a / 2) ** 2)),
  },
  // The lowest value of each loss.
  lowest(x, sigma) {
    const { bernoulli, continuous, gaussian } = mathematics;
    const logit = root((a) => continuous.mean(a) - x, -60, 61);
    return [bernoulli.loss(x, x), continuous.loss(x, logit), gaussian.loss(x, x, sigma)];
  },
};

// Draws of z whose simulated pixel comes close to x: draws from the posterior.
function simulate(draws) {
  const [next, kept] = [normals(5), []];
  for (let k = 0; k < draws; k++) {
    const z = next();
    if (Math.abs(Math.tanh(3 * z) + pixel.theta * next() - pixel.x) < 0.05) kept.push(z);
  }
  return kept;
}

const shown = (value) => round(Number(value.toFixed(2)) || 0); // no minus before 0.00
const signed = (value) => (value < -0.005 ? "" : "+") + shown(value);

function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// A plot with its legend. An axis is { low, high, step, name }.
function plot(label, x, y, height = 220) {
  const [left, top, width] = [46, 8, 300];
  const across = (value) => ((value - x.low) / (x.high - x.low)) * width;
  const down = (value) => ((y.high - value) / (y.high - y.low)) * height;
  const inside = svg("svg", { x: left, y: top, width, height }); // hides what is beyond the axes
  const viewBox = `0 0 ${left + width + 14} ${top + height + 42}`;
  const picture = svg("svg", { viewBox, role: "img", "aria-label": label },
    svg("path", { class: "live-axes", d: `M${left} ${top}v${height}h${width}` }), inside,
    svg("text", { x: left + width / 2, y: top + height + 38 }, x.name),
    svg("text", { transform: `translate(13 ${top + height / 2}) rotate(-90)` }, y.name));
  const ticks = ({ low, high, step }) =>
    evenly(Math.ceil(low / step), Math.floor(high / step), Math.floor(high / step) - Math.ceil(low / step) + 1)
      .map((k) => [k * step, round(k * step, step % 1 ? 1 : 0)]);
  for (const [value, text] of ticks(x))
    picture.append(svg("path", { class: "live-axes", d: `M${left + across(value)} ${top + height}v4` }),
      svg("text", { class: "live-tick-x", x: left + across(value), y: top + height + 18 }, text));
  for (const [value, text] of ticks(y))
    picture.append(svg("path", { class: "live-axes", d: `M${left} ${top + down(value)}h-4` }),
      svg("text", { class: "live-tick-y", x: left - 7, y: top + down(value) + 4 }, text));
  const legend = make("div", { className: "live-legend", "aria-hidden": "true" });

  return {
    element: make("div", { className: "live-plot" }, picture, legend),
    // A curve of one or more strokes through points, to be called whenever they move. `kind`: the classes of its look.
    curve(kind, name) {
      const path = svg("path", { class: kind }, svg("title", {}, name));
      inside.append(path);
      const [dots, filled] = [kind.includes("dots"), kind.includes("filled")];
      const swatch = svg("path", { class: kind, d: dots ? "M14 6h0" : filled ? "M2 1h24v10h-24z" : "M1 6h26" });
      legend.append(make("span", {}, svg("svg", { width: 28, height: 12 }, swatch), ` ${name}`));
      const place = ([a, b]) => `${across(a).toFixed(2)} ${down(b).toFixed(2)}`;
      const stroke = (points) => (dots ? `M${points.map(place).join("h0M")}h0` : `M${points.map(place).join("L")}`);
      return (...strokes) => path.setAttribute("d", strokes.map(stroke).join(""));
    },
    // Words, in lines, that end just left of a point, to be called whenever they change.
    words(a, b) {
      const text = svg("text", { class: "live-note" });
      inside.append(text);
      return (...lines) => text.replaceChildren(
        ...lines.map((line, k) => svg("tspan", { x: across(a) - 3, y: down(b) + 4 + 17 * k }, line)));
    },
  };
}

// Sliders, each [name, low, high, step, start], plots, and a sentence: what `update` returns for the sliders' values.
// The sentence is spoken only when the sliders rest.
function follow(figure, sliders, plots, update) {
  const [sentence, spoken] = [make("p", { "aria-hidden": "true" }), make("output", { className: "visually-hidden" })];
  let resting;
  const rows = sliders.map(([name, min, max, step, value]) => {
    const input = make("input", { type: "range", min, max, step, value });
    const number = make("span", { "aria-hidden": "true" });
    input.addEventListener("input", () => {
      show();
      clearTimeout(resting);
      resting = setTimeout(speak, 700);
    });
    return { input, number, row: make("label", {}, make("span", {}, name), input, number) };
  });
  function show() {
    for (const { input, number } of rows) number.textContent = shown(Number(input.value));
    sentence.textContent = update(...rows.map(({ input }) => Number(input.value)));
  }
  const speak = () => (spoken.textContent = sentence.textContent);
  show();
  speak();
  figure.replaceChildren(make("div", { className: "live-formula" },
    make("div", { className: "live-moves" }, ...rows.map(({ row }) => row)),
    ...plots.map(({ element }) => element),
    make("div", { className: "live-sentence" }, sentence, spoken)));
}

figures.ellipse = (figure) => {
  const plane = plot("A cloud of draws with the ellipse that holds 95 % of them, and the two columns of L as lines "
    + "from the middle. With negative rho the ellipse and the first column fall to the right, with positive rho they "
    + "rise. The second column is always upright, and short where the ellipse is narrow.",
    { low: -6, high: 6, step: 2, name: "z₁" }, { low: -6, high: 6, step: 2, name: "z₂" }, 300);
  const cloud = plane.curve("grey dots", "150 draws");
  const ellipse = plane.curve("blue", "holds 95 % of all draws");
  const columns = [plane.curve("orange thick", "column 1 of L"), plane.curve("green thick dashed", "column 2 of L")];
  const next = normals(2);
  const noise = Array.from({ length: 150 }, () => [next(), next()]);
  const radius = Math.sqrt(-2 * Math.log(0.05));
  const circle = evenly(0, 2 * Math.PI, 200).map((turn) => [radius * Math.cos(turn), radius * Math.sin(turn)]);
  const sliders = [["rho", -0.95, 0.95, 0.05, 0.5], ["sigma 1", 0.2, 2.2, 0.1, 1.5], ["sigma 2", 0.2, 2.2, 0.1, 1.5]];
  follow(figure, sliders, [plane], (rho, sigma1, sigma2) => {
    const { a, b, c, determinant, lengths } = mathematics.ellipse(rho, sigma1, sigma2);
    const transform = ([first, second]) => [a * first, b * first + c * second];
    cloud(noise.map(transform));
    ellipse(circle.map(transform));
    columns[0]([[0, 0], [a, b]]);
    columns[1]([[0, 0], [0, c]]);
    return `L = [[${shown(a)}, 0], [${shown(b)}, ${shown(c)}]], its determinant ${shown(determinant)}; `
      + `its columns are ${shown(lengths[0])} and ${shown(lengths[1])} long.`;
  });
};

figures.pull = (figure) => {
  const densities = plot("The density of q, filled, and the dashed density of the prior. Mu moves q, sigma makes it "
    + "wider and lower.", { low: -6, high: 6, step: 2, name: "z" }, { low: 0, high: 1.6, step: 0.4, name: "density" });
  const map = plot("A map of the KL with rings around mu 0, sigma 1, and an arrow from q that shows the pull. A narrow "
    + "Gaussian to the right is pulled left and wider, a wide one in the middle straight down. At mu 0, sigma 1 there "
    + "is no pull.",
    { low: -3, high: 3, step: 1, name: "μ" }, { low: 0, high: 3, step: 1, name: "σ" });
  const line = evenly(-6, 6, 401);
  const q = densities.curve("blue filled", "q");
  densities.curve("base dashed", "prior")(line.map((z) => [z, gaussian(z, 0, 1)]));
  const levels = [0.5, 1, 2, 3, 4];
  map.curve("grey", "equal KL (nats)")(...levels.map(mathematics.ring));
  for (const level of levels) map.words(Math.sqrt(2 * (level - klToStandardNormal([0], [1.5]))), 1.5)(level);
  const [arrow, place] = [map.curve("orange thick", "pull"), map.curve("base dots big", "q")];
  follow(figure, [["mu", -3, 3, 0.1, 1.5], ["sigma", 0.3, 3, 0.05, 0.5]], [densities, map], (mu, sigma) => {
    q([[-6, 0], ...line.map((z) => [z, gaussian(z, mu, sigma)]), [6, 0]]);
    const pull = mathematics.pull(mu, sigma);
    const length = Math.max(Math.hypot(pull.mu, pull.sigma), 1e-9);
    const scale = Math.min(1 / 3, 1.2 / length);
    const tip = [mu + scale * pull.mu, sigma + scale * pull.sigma];
    const size = Math.min(0.12 / length, scale); // of the arrow's head
    const barb = (side) =>
      [tip[0] - size * (pull.mu + side * pull.sigma), tip[1] - size * (pull.sigma - side * pull.mu)];
    arrow([[mu, sigma], tip], [barb(0.6), tip, barb(-0.6)]);
    place([[mu, sigma]]);
    return `KL ${shown(pull.kl)} nats; pull on mu ${signed(pull.mu)}, on sigma ${signed(pull.sigma)}.`;
  });
};

figures.chord = (figure) => {
  const panel = plot("The logarithm with a chord from a smaller number to 2, below the curve, and the tangent at their "
    + "mean, above it. A bar marks the gap at the mean. It is gone when all the weight is on one number, or both "
    + "numbers are 2.",
    { low: 0, high: 2.3, step: 0.5, name: "number" }, { low: -3.2, high: 1.6, step: 1, name: "logarithm (nats)" }, 260);
  const numbers = evenly(0.03, 2.3, 200);
  panel.curve("blue", "log")(numbers.map((t) => [t, Math.log(t)]));
  const [chord, ends] = [panel.curve("orange dashed", "chord"), panel.curve("orange dots big", "its ends")];
  const [tangent, bar] = [panel.curve("green dotted", "tangent at the mean"), panel.curve("base bar", "Jensen's gap")];
  follow(figure, [["smaller", 0.05, 2, 0.05, 0.2], ["weight of 2", 0, 1, 0.05, 0.5]], [panel], (low, weight) => {
    const { mean, logMean, meanLog, gap } = mathematics.chord(low, weight);
    const pair = [[low, Math.log(low)], [2, Math.log(2)]];
    chord(pair);
    ends(pair);
    tangent([0, 2.3].map((t) => [t, logMean + (t - mean) / mean]));
    bar([[mean, meanLog], [mean, logMean]]);
    return `Log of the mean ${shown(logMean)}, mean of the logs ${shown(meanLog)}, gap ${shown(gap)} nats.`;
  });
};

figures.gap = (figure) => {
  const [low, high] = [-1, 2.5];
  const above = plot("The skewed posterior, which rises steeply near zero and falls slowly towards two, over the "
    + "histogram of simulated values, and a dashed Gaussian q.",
    { low, high, step: 0.5, name: "z" }, { low: 0, high: 2, step: 0.5, name: "density" });
  const below = plot("The ELBO against the mean of q, a dash-dotted hill under the flat line of log p(x). A bar marks "
    + "the gap. It is long for q the prior, shorter for a narrow or wide q, shortest at mean 0.85 and width 0.46.",
    { low, high, step: 0.5, name: "mean of q" }, { low: -6.5, high: 0.2, step: 1, name: "nats" });
  const [bins, draws] = [70, simulate(100_000).filter((z) => z >= low && z < high)];
  const counts = new Array(bins).fill(0);
  for (const z of draws) counts[Math.floor(((z - low) / (high - low)) * bins)]++;
  const edges = evenly(low, high, bins + 1);
  const height = (k) => counts[k] / draws.length / (edges[1] - edges[0]);
  above.curve("grey filled", "simulated posterior")(
    [[low, 0], ...counts.flatMap((_, k) => [[edges[k], height(k)], [edges[k + 1], height(k)]]), [high, 0]]);
  const line = evenly(low, high, 351);
  above.curve("blue", "posterior")(line.map((z) => [z, Math.exp(logPosterior(z))]));
  const q = above.curve("orange dashed", "q");
  const sum = above.words(2.45, 1.86);
  const hill = below.curve("green dashdot", "ELBO");
  below.curve("purple", "log p(x)")([[low, LOG_P_X], [high, LOG_P_X]]);
  const bar = below.curve("base bar", "gap of the ELBO");
  const centres = evenly(low, high, 71);
  const sliders = [["mean of q", low, high, 0.05, 0], ["width of q", 0.2, 1.5, 0.02, 1]];
  follow(figure, sliders, [above, below], (mu, sigma) => {
    const [elbo, kl] = [mathematics.elbo(mu, sigma), mathematics.kl(mu, sigma)];
    q(line.map((z) => [z, gaussian(z, mu, sigma)]));
    sum(`ELBO ${shown(elbo)}`, `+ KL ${shown(kl)}`, `= ${shown(elbo + kl)}`);
    hill(centres.map((centre) => [centre, mathematics.elbo(centre, sigma)]));
    bar([[mu, elbo], [mu, LOG_P_X]]);
    return `ELBO ${shown(elbo)}, KL to the posterior ${shown(kl)}, sum ${shown(elbo + kl)} nats; `
      + `log p(x) is ${shown(LOG_P_X)}.`;
  });
};

figures.losses = (figure) => {
  const { bernoulli, continuous, gaussian } = mathematics;
  const sides = [
    ["loss", { low: -3, high: 6, step: 1 }, "All three losses are lowest at the target."],
    ["slope", { low: -25, high: 25, step: 10 }, "All three slopes cross zero at the target. BCE's is flatter than the "
      + "continuous Bernoulli's. The Gaussian's is steep for a small sigma and almost flat for a large one."],
  ].map(([what, axis, words]) => {
    const panel = plot(`The ${what} against the predicted mean for one target pixel. ${words}`,
      { low: 0, high: 1, step: 0.2, name: "predicted mean" }, { ...axis, name: `${what} (nats)` });
    const looks = [
      ["grey", "target"], ["blue", "BCE"], ["orange dashed", "cont. Bernoulli"], ["green dotted", "Gaussian"],
    ];
    return { what, panel, curves: looks.map(([kind, name]) => panel.curve(kind, name)) };
  });
  const means = evenly(0.02, 0.98, 193);
  const logits = evenly(-1, 1, 300).map((u) => 60 * u * Math.abs(u));
  const sliders = [["target", 0.05, 0.95, 0.05, 0.2], ["sigma", 0.05, 1, 0.05, 0.3]];
  follow(figure, sliders, sides.map(({ panel }) => panel), (x, sigma) => {
    for (const { what, curves } of sides) {
      curves[0]([[x, -25], [x, 25]]);
      curves[1](means.map((m) => [m, bernoulli[what](x, m)]));
      curves[2](logits.map((a) => [continuous.mean(a), continuous[what](x, a)]));
      curves[3](means.map((m) => [m, gaussian[what](x, m, sigma)]));
    }
    const [bce, cont, gauss] = mathematics.lowest(x, sigma).map(shown);
    return `Lowest loss: BCE ${bce}, continuous Bernoulli ${cont}, Gaussian ${gauss} nats.`;
  });
};
