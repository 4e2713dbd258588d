// Makes the first inputs of the fuzzers out of the golden vectors: node spec/fuzz/seed.mjs. What the
// fuzzers found worth keeping stands in the same folders, under other names.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";

const vectors = (name) => JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), "utf8"));
const bytes = (hex) => Buffer.from(hex, "hex");
const slug = (name) => name.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 40);

function keep(target, name, content) {
  const folder = new URL(`corpus/${target}/`, import.meta.url);
  mkdirSync(folder, { recursive: true });
  writeFileSync(new URL(`vector-${slug(name)}`, folder), content);
}

function frame(envelope) {
  const head = Buffer.alloc(5, 0x5a);
  head.writeUInt32BE(envelope.length, 1);
  return Buffer.concat([head, envelope]);
}

// Small files and few of them: libFuzzer makes the rest.
const values = vectors("values");
const small = ({ hex }) => hex.length > 0 && hex.length <= 240;
const containers = values.valid.filter(({ hex }) => /^[89abd]/.test(hex));
const scalars = values.valid.filter(({ hex }) => !/^[89abd]/.test(hex));
const chosen = [
  ...containers.filter(small).slice(0, 16),
  ...scalars.filter(small).filter((_, i) => i % 4 === 0).slice(0, 10),
  ...values.malformed.filter(small).filter((_, i) => i % 6 === 0).slice(0, 10),
];
for (const { name, hex } of chosen) {
  keep("value", name, bytes(hex));
  keep("lua_value", name, bytes(hex));
}

const envelopes = vectors("envelopes");
for (const { name, hex } of envelopes.valid) keep("envelope", name, bytes(hex));
for (const { name, hex } of envelopes.malformed.filter(small).slice(0, 10)) keep("envelope", name, bytes(hex));

// Two bytes of control (see stream.c), then the frames.
const all = envelopes.valid.filter(({ kind }) => kind !== 0).map(({ hex }) => frame(bytes(hex)));
all.forEach((one, i) => keep("stream", envelopes.valid.filter(({ kind }) => kind !== 0)[i].name, Buffer.concat([Buffer.from([i, 8]), one])));
keep("stream", "all, cut small", Buffer.concat([Buffer.from([1, 9]), ...all]));
keep("stream", "all, with steps", Buffer.concat([Buffer.from([2, 10]), ...all]));
keep("stream", "no hello", Buffer.concat([Buffer.from([3, 4]), ...all]));
for (const { name, hex } of envelopes.malformed_frames) keep("stream", name, Buffer.concat([Buffer.from([4, 0]), bytes(hex)]));
