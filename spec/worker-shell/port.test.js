import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { PORT_WINDOW, PortReader, PortWriter } from "../../worker-shell/port.js";
import { until } from "./until.js";


function pair({ onRoom = () => {}, onBytes }) {
  const { port1, port2 } = new MessageChannel();
  const writer = new PortWriter(port1, onRoom);
  const read = () => new PortReader(port2, onBytes);
  return { writer, read };
}

describe("a port link", () => {
  it("copies: what is written over afterwards arrives as it was", async () => {
    const got = [];
    const { writer, read } = pair({ onBytes: (bytes) => got.push(...bytes) });
    const reader = read();
    const memory = new Uint8Array(1 << 20).fill(1);
    assert.equal(writer.write(memory.subarray(5, 8)), 3);
    memory.fill(2);
    await until(() => got.length === 3);
    assert.deepEqual(got, [1, 1, 1]);
    assert.equal(memory.length, 1 << 20);
    reader.close();
  });

  it("keeps no more than a window on the way, and says when there is room again", async () => {
    let room = 0;
    let received = 0;
    const { writer, read } = pair({ onRoom: () => room++, onBytes: (bytes) => (received += bytes.length) });
    const much = new Uint8Array(PORT_WINDOW + 1000);
    assert.equal(writer.write(much), PORT_WINDOW);
    assert.equal(writer.write(much), 0);
    assert.equal(room, 0);
    const reader = read();
    await until(() => room === 1);
    assert.equal(received, PORT_WINDOW);
    assert.equal(writer.write(new Uint8Array(1000)), 1000);
    await until(() => received === PORT_WINDOW + 1000);
    reader.close();
  });
});
