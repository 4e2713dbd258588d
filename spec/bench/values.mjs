// The round trip of a value in JavaScript: the platform's two ways, and the host's codec.
import { rate } from "./rate.mjs";

import { Reader, Writer } from "../../worker-shell/cbor.js";
import { decodeValue, encodeValue } from "../../worker-shell/value.js";

const seconds = Number(process.argv[2] ?? 0.2);

/** As in measure.lua. */
const record = {
  id: 123456789, name: "Ada Lovelace", email: "ada@example.org", active: true, score: 98.6, visits: 42,
  tags: ["first", "program", "engine"],
  address: { street: "St James's Square", number: 12, city: "London", position: { lat: 51.507, lon: -0.135 } },
};

function repeat(roundTrip) {
  return (n) => {
    for (let i = 0; i < n; i++) roundTrip(record);
  };
}

console.log(`structured_clone ${await rate(repeat((value) => structuredClone(value)), seconds)}`);
console.log(`json ${await rate(repeat((value) => JSON.parse(JSON.stringify(value))), seconds)}`);

const writer = new Writer();
function ours(value) {
  writer.clear();
  encodeValue(writer, value);
  return decodeValue(new Reader(writer.take()));
}
console.log(`value ${await rate(repeat(ours), seconds)}`);
