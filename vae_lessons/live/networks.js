// Networks of linear layers with ReLU between them, from weights in half precision, and what the figures compute of them.

// Half-precision numbers, two bytes each, little-endian, as Float32Array.
function fromHalf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: bytes.byteLength / 2 }, (_, k) => {
    const half = view.getUint16(2 * k, true);
    const [sign, exponent, fraction] = [half & 0x8000 ? -1 : 1, (half >> 10) & 31, half & 1023];
    return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
  });
}

// A function from the inputs to the outputs, Float32Arrays. `sizes` are those of the layers, inputs first; `numbers` are
// the weights of each layer, input by input, followed by its biases.
function network(sizes, numbers) {
  const layers = [];
  for (let k = 1, at = 0; k < sizes.length; k++) {
    const [n, m] = [sizes[k - 1], sizes[k]];
    layers.push({ n, m, weights: numbers.subarray(at, at + n * m), biases: numbers.subarray(at + n * m, at + n * m + m) });
    at += n * m + m;
  }
  return (inputs) => {
    let values = inputs;
    layers.forEach(({ n, m, weights, biases }, k) => {
      const sums = Float32Array.from(biases);
      for (let i = 0; i < n; i++) {
        const value = values[i];
        if (value !== 0) for (let j = 0, at = i * m; j < m; j++) sums[j] += value * weights[at + j];
      }
      if (k < layers.length - 1) for (let j = 0; j < m; j++) if (sums[j] < 0) sums[j] = 0;
      values = sums;
    });
    return values;
  };
}

const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const total = (numbers) => numbers.reduce((sum, number) => sum + number, 0);

// -log p(x|z) in nats, of a picture of zeros and ones, from the logits of its pixels.
function bernoulliCost(x, logits) {
  let sum = 0;
  for (let k = 0; k < x.length; k++) {
    const a = logits[k];
    sum += Math.max(a, 0) + Math.log1p(Math.exp(-Math.abs(a))) - a * x[k];
  }
  return sum;
}

// KL(N(mu, sigma²) || N(0, I)) in nats.
const klToStandardNormal = (mu, sigma) =>
  total(Array.from(mu, (m, k) => 0.5 * (m * m + sigma[k] * sigma[k] - 1) - Math.log(sigma[k])));

// The Cholesky factor of the covariance of points in a plane, x and y in turn.
function choleskyOf(points) {
  const axes = [0, 1].map((k) => points.filter((_, i) => i % 2 === k));
  const centred = axes.map((axis) => axis.map((value) => value - total(axis) / axis.length));
  const covariance = (j, k) => total(centred[j].map((value, i) => value * centred[k][i])) / (axes[0].length - 1);
  const a = Math.sqrt(covariance(0, 0));
  const b = covariance(0, 1) / a;
  return [[a], [b, Math.sqrt(covariance(1, 1) - b * b)]];
}

// Standard normal numbers from a seed: the same ones whenever the page is opened.
function normals(seed) {
  const uniform = () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 4294967296;
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}
