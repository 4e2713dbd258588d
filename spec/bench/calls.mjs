// Calls from a thread to a worker through one of the peers in peers/: prints a line `figure value` for
// one call after the other, and for a hundred callers in flight.
//
//     node spec/bench/calls.mjs comlink 0.2
import { rate } from "./rate.mjs";

const CALLERS = 100;
const [name, seconds = "0.2"] = process.argv.slice(2);
const { start } = await import(`./peers/${name}.mjs`);
const peer = await start();

async function oneAtATime(n) {
  for (let i = 0; i < n; i++) await peer.echo(i);
}

async function fromMany(n) {
  const times = Math.ceil(n / CALLERS);
  await Promise.all(Array.from({ length: CALLERS }, () => oneAtATime(times)));
}

if ((await peer.echo(42)) !== 42) throw new Error(`${name} does not answer what it was sent`);
console.log(`round_trip ${await rate(peer.oneAtATime ?? oneAtATime, Number(seconds))}`);
console.log(`calls_from_100 ${await rate(peer.fromMany ?? fromMany, Number(seconds))}`);
process.exit(0);
