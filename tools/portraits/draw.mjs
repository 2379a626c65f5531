// Draws portraits from an artist's parts, chosen at random and independently of each other:
//
//     node draw.mjs FAMILY N SEED SIZE FOLDER
//
// FAMILY is "micah" (by Micah Lanier, CC BY 4.0) or "peeps" (Open Peeps by Pablo Stanley, CC0). Writes three files of
// raw pixels, N x SIZE x SIZE x 3 bytes: people.bin, other_glasses.bin (the same people with glasses put on or taken
// off) and other_smile.bin (smile put on or taken off); and attributes.json.
import { createAvatar } from "@dicebear/core";
import * as micah from "@dicebear/micah";
import * as peeps from "@dicebear/open-peeps";
import { Resvg } from "@resvg/resvg-js";
import fs from "node:fs";
import path from "node:path";

const [family, n, seed, size, folder] = process.argv.slice(2);

// mulberry32: a small generator of numbers in [0, 1) with a seed, which JavaScript itself lacks
let state = Number(seed);
function random() {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}
const pick = (list) => list[Math.floor(random() * list.length)];
const chance = (p) => random() < p;

const SKINS = ["f9c9b6", "e8b496", "d29b7b", "ac6651", "8c4a32", "77311d"];
const HAIR_COLORS = ["000000", "3b2219", "77311d", "ac6651", "d9a441", "f4d150", "9a9a9a", "e6e6e6", "c5432f", "9287ff"];
const SHIRTS = ["d2eff3", "2b2b3a", "e0ddff", "f4d150", "ac6651", "9287ff", "ffeba4", "fc909f", "6bd9e9", "ffffff"];
const BACKGROUNDS = ["b0d0e0", "e8d8c0", "c8e0c0", "d8c8e8", "f0f0f0", "90a8c0"];
const DARK = ["000000", "3b2219"]; // a black beard hides a mouth drawn in black

// Everything about a person but the two attributes that are switched: one function of those for each family.
const FAMILIES = {
  // Mouths left out, being neither a smile nor its absence: nervous, pucker, smirk, surprised. Eyes left out: the two
  // that are called smiling.
  micah() {
    const hair = pick(["fonze", "mrT", "dougFunny", "mrClean", "dannyPhantom", "full", "turban", "pixie"]);
    const hairColor = pick(HAIR_COLORS);
    const skin = pick(SKINS);
    const [beard, earrings] = [chance(0.4), chance(0.3)];
    const mouths = [pick(["frown", "sad"]), pick(["smile", "laughing"])];
    const parts = {
      baseColor: [skin],
      hair: [hair],
      hairColor: [hairColor],
      facialHair: [pick(["beard", "scruff"])],
      facialHairProbability: beard ? 100 : 0,
      facialHairColor: [DARK.includes(hairColor) ? "5b3a29" : hairColor],
      mouthColor: ["000000"],
      eyes: [pick(["eyes", "round", "eyesShadow"])],
      eyeShadowColor: [pick(["d2eff3", "e0ddff", "ffeba4"])],
      eyebrows: [pick(["up", "down", "eyelashesUp", "eyelashesDown"])],
      nose: [pick(["curve", "pointed", "tound"])],
      ears: [pick(["attached", "detached"])],
      earrings: [pick(["hoop", "stud"])],
      earringsProbability: earrings ? 100 : 0,
      earringColor: [pick(["f4d150", "ffffff", "6bd9e9"])],
      glasses: [pick(["round", "square"])],
      glassesColor: ["000000"],
      shirt: [pick(["open", "crew", "collared"])],
      shirtColor: [pick(SHIRTS)],
    };
    return {
      style: micah,
      parts: (smiling, glasses) => ({
        ...parts,
        mouth: [mouths[Number(smiling)]],
        glassesProbability: glasses ? 100 : 0,
      }),
      attributes: {
        Beard: Number(beard),
        Earrings: Number(earrings),
        Turban: Number(hair === "turban"),
        Bald: Number(["mrClean", "dougFunny"].includes(hair)),
        Long_Hair: Number(["full", "pixie"].includes(hair)),
        Skin: brightness(skin),
        Hair: brightness(hairColor),
      },
    };
  },
  // A face has eyes and a mouth in one part here. Heads and beards that cover them are left out.
  peeps() {
    const hairStyles =
      "afro bangs bun bun2 buns cornrows flatTop grayBun grayMedium grayShort long longCurly medium2 medium3 " +
      "mediumBangs2 mohawk noHair1 noHair3 pomp shaved2 short1 short3 short4 turban twists hatBeanie";
    const hair = pick(hairStyles.split(" "));
    const [skin, hairColor] = [pick(SKINS), pick(HAIR_COLORS.slice(1))];
    const beard = chance(0.4);
    const faces = [
      pick(["serious", "solemn", "veryAngry", "tired", "concernedFear"]),
      pick(["smile", "smileBig", "smileTeethGap", "calm"]),
    ];
    const parts = {
      skinColor: [skin],
      head: [hair],
      headContrastColor: [hairColor],
      facialHair: ["chin"],
      facialHairProbability: beard ? 100 : 0,
      accessories: [pick(["glasses2", "glasses3", "glasses4", "glasses5"])],
      clothingColor: [pick(SHIRTS)],
      maskProbability: 0,
    };
    return {
      style: peeps,
      parts: (smiling, glasses) => ({
        ...parts,
        face: [faces[Number(smiling)]],
        accessoriesProbability: glasses ? 100 : 0,
      }),
      attributes: {
        Beard: Number(beard),
        Turban: Number(hair === "turban"),
        Bald: Number(["noHair1", "noHair3"].includes(hair)),
        Skin: brightness(skin),
      },
    };
  },
};

function brightness(color) {
  const [r, g, b] = [0, 2, 4].map((i) => parseInt(color.slice(i, i + 2), 16) / 255);
  return Number((0.299 * r + 0.587 * g + 0.114 * b).toFixed(3));
}

function render(style, parts, background) {
  const svg = createAvatar(style, { seed: "the same", ...parts }).toString();
  const image = new Resvg(svg, { fitTo: { mode: "width", value: Number(size) }, background: `#${background}` }).render();
  return Buffer.from(image.pixels.filter((_, i) => i % 4 < 3)); // the fourth byte is always 255
}

if (!(family in FAMILIES) || !(n > 0) || !(size > 0) || !folder) {
  console.error("usage: node draw.mjs micah|peeps N SEED SIZE FOLDER");
  process.exit(2);
}
const files = { people: [], other_glasses: [], other_smile: [] };
const attributes = [];
for (let i = 0; i < Number(n); i++) {
  const [smiling, glasses, background] = [chance(0.5), chance(0.5), pick(BACKGROUNDS)];
  const person = FAMILIES[family]();
  files.people.push(render(person.style, person.parts(smiling, glasses), background));
  files.other_glasses.push(render(person.style, person.parts(smiling, !glasses), background));
  files.other_smile.push(render(person.style, person.parts(!smiling, glasses), background));
  attributes.push({ Smiling: Number(smiling), Eyeglasses: Number(glasses), ...person.attributes });
  if (process.stdout.isTTY) process.stdout.write(`\r${i + 1} of ${n}`);
}
fs.mkdirSync(folder, { recursive: true });
for (const [name, pictures] of Object.entries(files)) {
  fs.writeFileSync(path.join(folder, `${name}.bin`), Buffer.concat(pictures));
}
fs.writeFileSync(path.join(folder, "attributes.json"), JSON.stringify(attributes));
