// Golden vectors for C: turns spec/vectors/x.json into a header with an array of each of its lists.
// What a vector does not say is NULL, or -1 for a number.
import { readFileSync } from "node:fs";

const [, , path] = process.argv;
const lists = Object.entries(JSON.parse(readFileSync(path, "utf8"))).filter(([, list]) => Array.isArray(list));

const TEXTS = ["name", "hex", "code", "node", "secret", "type", "method", "arguments", "results", "value", "traceback", "cycle", "context"];
const NUMBERS = ["kind", "version", "incarnation", "call", "instance", "remaining", "trace", "code_number", "count", "probe"];

// The code of an error is a number in envelopes and a name in values.
const fieldOf = (vector, name) => {
  if (name === "code") return typeof vector.code === "string" ? vector.code : undefined;
  return name === "code_number" ? (typeof vector.code === "number" ? vector.code : undefined) : vector[name];
};

function initializer(vector) {
  const texts = TEXTS.filter((name) => fieldOf(vector, name) !== undefined);
  const fields = texts.map((name) => `.${name} = ${JSON.stringify(fieldOf(vector, name))}`);
  for (const name of NUMBERS) fields.push(`.${name} = ${fieldOf(vector, name) ?? -1}`);
  const chain = vector.chain ?? [];
  fields.push(`.chain_len = ${chain.length}`, `.chain = {${chain.join(", ") || 0}}`);
  return `  {${fields.join(", ")}},`;
}

console.log(`/* Made from ${path} by scripts/vectors.mjs. */`);
console.log("#include <stdint.h>\n");
console.log(`typedef struct vector {
  const char *${TEXTS.join(", *")};
  int64_t ${NUMBERS.join(", ")};
  int chain_len;
  uint64_t chain[8];
} vector;
`);
for (const [name, list] of lists) {
  console.log(`static const vector ${name}[] = {\n${list.map(initializer).join("\n")}\n};\n`);
}
