import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import { join } from "node:path";
import test from "node:test";
import { ExitStatus, Files, MemoryFiles } from "../../worker-shell/files.js";
import { NodeFiles } from "../../worker-shell/files-node.js";

const READ = 1, WRITE = 2, CREATE = 4, TRUNCATE = 8, APPEND = 16, EXCLUSIVE = 32;

const bytes = (text) => new TextEncoder().encode(text);
const text = (array) => new TextDecoder().decode(array);

// The wasm's side, without a wasm: a memory, and its imports called as C would.
class Caller {
  constructor(system, environment) {
    this.files = new Files(system, environment);
    this.memory = new WebAssembly.Memory({ initial: 1 });
    this.files.attach(this.memory);
    this.env = this.files.imports.env;
    this.wasi = this.files.imports.wasi_snapshot_preview1;
    this.view = new DataView(this.memory.buffer);
  }

  put(string, at = 4096) {
    const array = bytes(string);
    new Uint8Array(this.memory.buffer).set(array, at);
    return [at, array.length];
  }

  open(path, flags) {
    return this.env.mc_file_open(...this.put(path), flags);
  }

  vector(...pieces) {
    pieces.forEach(([at, length], i) => {
      this.view.setUint32(8 * i, at, true);
      this.view.setUint32(8 * i + 4, length, true);
    });
    return [0, pieces.length];
  }

  write(fd, ...strings) {
    let at = 4096;
    const pieces = strings.map((string) => {
      const piece = this.put(string, at);
      at += piece[1];
      return piece;
    });
    const errno = this.wasi.fd_write(fd, ...this.vector(...pieces), 64);
    return errno ? -errno : this.view.getUint32(64, true);
  }

  read(fd, ...lengths) {
    let at = 4096;
    const pieces = lengths.map((length) => [(at += length) - length, length]);
    const errno = this.wasi.fd_read(fd, ...this.vector(...pieces), 64);
    return errno ? -errno : text(new Uint8Array(this.memory.buffer, 4096, this.view.getUint32(64, true)).slice());
  }

  seek(fd, offset, whence) {
    const errno = this.wasi.fd_seek(fd, offset | 0, offset < 0 ? -1 : 0, whence, 64);
    return errno ? -errno : Number(this.view.getBigUint64(64, true));
  }
}

function systems(t) {
  const folder = fs.mkdtempSync(join(os.tmpdir(), "mooncast-"));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  return [["Node", new NodeFiles(fs), folder], ["memory", new MemoryFiles(), "/tmp"]];
}

// One test for each kind of file system: fn(t, caller, folder).
function both(name, fn) {
  test(name, async (t) => {
    for (const [kind, system, folder] of systems(t))
      await t.test(kind, (t) => fn(t, new Caller(system), folder));
  });
}

both("what is written is read back, in pieces as the vectors say", (_, c, folder) => {
  const fd = c.open(`${folder}/a`, WRITE | READ | CREATE | TRUNCATE);
  assert.equal(fd, 3);
  assert.equal(c.write(fd, "hello ", "", "world"), 11);
  assert.equal(c.seek(fd, 0, 0), 0);
  assert.equal(c.read(fd, 5, 3), "hello wo");
  assert.equal(c.read(fd, 100), "rld");
  assert.equal(c.read(fd, 100), "");
  assert.equal(c.wasi.fd_close(fd), 0);
  assert.equal(c.wasi.fd_close(fd), 8, "EBADF: it is closed");
});

both("seeking is from the start, from here, from the end, and never before the start", (_, c, folder) => {
  const fd = c.open(`${folder}/a`, WRITE | READ | CREATE);
  c.write(fd, "0123456789");
  assert.equal(c.seek(fd, 2, 0), 2);
  assert.equal(c.seek(fd, 3, 1), 5);
  assert.equal(c.read(fd, 1), "5");
  assert.equal(c.seek(fd, -2, 2), 8);
  assert.equal(c.read(fd, 9), "89");
  assert.equal(c.seek(fd, -1, 0), -28, "EINVAL");
  assert.equal(c.seek(fd, 12, 0), 12);
  assert.equal(c.write(fd, "x"), 1);
  c.seek(fd, 0, 0);
  assert.equal(c.read(fd, 99), "0123456789\0\0x", "a gap reads as zeros");
});

both("a 64-bit offset may come as one BigInt", (_, c, folder) => {
  const fd = c.open(`${folder}/a`, WRITE | READ | CREATE);
  c.write(fd, "abc");
  assert.equal(c.wasi.fd_seek(fd, -1n, 2, 64), 0);
  assert.equal(c.view.getBigUint64(64, true), 2n);
});

both("appending writes at the end, wherever one has read", (_, c, folder) => {
  let fd = c.open(`${folder}/a`, WRITE | CREATE);
  c.write(fd, "one");
  c.wasi.fd_close(fd);
  fd = c.open(`${folder}/a`, WRITE | READ | CREATE | APPEND);
  assert.equal(c.read(fd, 2), "on");
  assert.equal(c.write(fd, "two"), 3);
  assert.equal(c.seek(fd, 0, 1), 6);
  c.seek(fd, 0, 0);
  assert.equal(c.read(fd, 99), "onetwo");
});

both("opening fails with the number of what is wrong", (_, c, folder) => {
  assert.equal(c.open(`${folder}/none`, READ), -44, "ENOENT");
  assert.equal(c.open(`${folder}/none/a`, WRITE | CREATE), -44, "ENOENT");
  assert.equal(c.open(folder, WRITE | CREATE), -31, "EISDIR");
  const fd = c.open(`${folder}/a`, WRITE | CREATE | EXCLUSIVE);
  assert.ok(fd > 2);
  assert.equal(c.open(`${folder}/a`, WRITE | CREATE | EXCLUSIVE), -20, "EEXIST");
  assert.equal(c.read(fd, 1), -8, "EBADF: opened for writing only");
  assert.equal(c.read(99, 1), -8, "EBADF");
});

both("removing and renaming", (_, c, folder) => {
  c.wasi.fd_close(c.open(`${folder}/a`, WRITE | CREATE));
  const a = c.put(`${folder}/a`), b = c.put(`${folder}/b`, 8192);
  assert.equal(c.env.mc_file_rename(...a, ...b), 0);
  assert.equal(c.env.mc_file_rename(...a, ...b), -44);
  assert.equal(c.env.mc_file_remove(...a), -44);
  assert.equal(c.env.mc_file_remove(...b), 0);
  assert.equal(c.env.mc_file_remove(...b), -44);
});

both("a removed file lives until it is closed", (_, c, folder) => {
  const fd = c.open(`${folder}/a`, WRITE | READ | CREATE);
  c.env.mc_file_remove(...c.put(`${folder}/a`));
  c.write(fd, "still");
  c.seek(fd, 0, 0);
  assert.equal(c.read(fd, 99), "still");
});

both("listing and looking", (_, c, folder) => {
  const fd = c.open(`${folder}/ä`, WRITE | CREATE);
  c.write(fd, "12345");
  const size = c.env.mc_file_list(...c.put(folder), 8192, 100);
  assert.equal(text(new Uint8Array(c.memory.buffer, 8192, size)), "ä\0");
  c.view.setUint8(8192, 7);
  assert.equal(c.env.mc_file_list(...c.put(folder), 8192, 2), 3, "says how much room it takes");
  assert.equal(c.view.getUint8(8192), 7, "and writes nothing into less");
  assert.equal(c.env.mc_file_stat(...c.put(`${folder}/ä`), 64), 0);
  assert.deepEqual([c.view.getFloat64(64, true), c.view.getFloat64(72, true)], [1, 5]);
  assert.ok(Math.abs(c.view.getFloat64(80, true) - Date.now() / 1000) < 60);
  assert.equal(c.env.mc_file_stat(...c.put(folder), 64), 0);
  assert.equal(c.view.getFloat64(64, true), 2);
  assert.equal(c.env.mc_file_list(...c.put(`${folder}/none`), 8192, 100), -44);
});

both("numbers of closed files are given out again, and close() closes all but the standard ones", (_, c, folder) => {
  const first = c.open(`${folder}/a`, WRITE | CREATE);
  const second = c.open(`${folder}/b`, WRITE | CREATE);
  c.wasi.fd_close(first);
  assert.equal(c.open(`${folder}/c`, WRITE | CREATE), first);
  c.files.close();
  assert.equal(c.wasi.fd_close(second), 8);
  assert.equal(c.seek(1, 0, 0), -70, "ESPIPE: standard output is there, and is no file");
});

test("in memory, output goes to the callbacks byte for byte and input comes from one", () => {
  const out = [];
  const input = [bytes("line\n"), bytes("")];
  const c = new Caller(new MemoryFiles({
    stdout: (b) => out.push(b),
    stderr: (b) => out.push(["error", text(b)]),
    stdin: () => input.shift(),
    files: { "lib/a.lua": "return 1" },
  }));
  c.write(1, "a\xff");
  c.write(2, "b");
  assert.deepEqual(out, [bytes("a\xff"), ["error", "b"]]);
  assert.equal(c.read(0, 100), "line\n");
  assert.equal(c.read(0, 100), "");
  assert.equal(c.read(c.open("./lib/../lib/a.lua", READ), 100), "return 1");
  assert.equal(c.open("lib", READ), -31);
});

// A node:fs whose standard streams behave badly.
const fakeFs = (methods) => ({ fstatSync: () => ({ isCharacterDevice: () => false }), ...methods });

test("a short write goes on, a stream that is not ready is waited for", () => {
  const got = [];
  let calls = 0;
  const c = new Caller(new NodeFiles(fakeFs({
    writeSync(fd, array, from, length) {
      if (calls++ % 2 === 0) throw Object.assign(new Error(), { code: "EAGAIN" });
      const n = Math.min(2, length);
      got.push(text(array.subarray(from, from + n)));
      return n;
    },
  })));
  assert.equal(c.write(1, "hello"), 5);
  assert.deepEqual(got, ["he", "ll", "o"]);
});

const failing = (code) => new Caller(new NodeFiles(fakeFs({
  writeSync() { throw code instanceof Error ? code : Object.assign(new Error(), { code }); },
})));

test("what fails is an error number, a mistake in the shell is none", () => {
  assert.equal(failing("EPIPE").write(2, "x"), -64);
  assert.equal(failing("EWHATEVER").write(1, "x"), -29, "EIO");
  assert.throws(() => failing(new TypeError("oops")).write(1, "x"), /oops/);
});

test("who writes to an output that nobody reads ends, as by SIGPIPE", () => {
  assert.throws(() => failing("EPIPE").write(1, "x"), (error) => error.exit === 141);
});

test("the end of input is told in Windows' way, too", () => {
  const c = new Caller(new NodeFiles(fakeFs({
    readSync() { throw Object.assign(new Error(), { code: "EOF" }); },
  })));
  assert.equal(c.read(0, 10), "");
});

test("terminals are told apart, so that the C library flushes them by the line", () => {
  const terminal = fakeFs({ fstatSync: () => ({ isCharacterDevice: () => true }) });
  for (const [system, type] of [[new NodeFiles(terminal), 2], [new NodeFiles(fakeFs({})), 0], [new MemoryFiles(), 2]]) {
    const c = new Caller(system);
    assert.equal(c.wasi.fd_fdstat_get(1, 64), 0);
    assert.equal(c.view.getUint8(64), type);
  }
});

test("the environment", () => {
  const c = new Caller(new MemoryFiles(), { A: "1", B: undefined, C: "ü=x" });
  c.wasi.environ_sizes_get(0, 4);
  assert.deepEqual([c.view.getUint32(0, true), c.view.getUint32(4, true)], [2, 4 + 7]);
  c.wasi.environ_get(0, 64);
  assert.equal(text(new Uint8Array(c.memory.buffer, 64, 11)), "A=1\0C=ü=x\0");
  assert.deepEqual([c.view.getUint32(0, true), c.view.getUint32(4, true)], [64, 68]);
});

both("what is open at the end is closed, whatever was closed before", (_, c, folder) => {
  const [first, second] = ["a", "b"].map((name) => c.open(`${folder}/${name}`, WRITE | CREATE));
  assert.equal(c.wasi.fd_close(first), 0);
  c.files.close();
  assert.equal(c.write(second, "x"), -8);
});

test("the clocks", () => {
  const c = new Caller(new MemoryFiles());
  const read = (...args) => {
    assert.equal(c.wasi.clock_time_get(...args, 64), 0);
    return Number(c.view.getBigUint64(64, true)) / 1e6;
  };
  assert.ok(Math.abs(read(0, 0n) - Date.now()) < 1000);
  assert.ok(Math.abs(read(0, 0, 0) - Date.now()) < 1000, "the precision as two halves");
  assert.ok(Math.abs(read(1, 0n) - performance.now()) < 1000);
  const before = read(2, 0n);
  for (let i = 0; i < 1e6; i++) Math.sqrt(i);
  assert.ok(read(2, 0n) >= before);
});

test("leaving is thrown", () => {
  const c = new Caller(new MemoryFiles());
  assert.throws(() => c.wasi.proc_exit(3), (error) => error instanceof ExitStatus && error.exit === 3);
});

test("memory that grew is seen", () => {
  const c = new Caller(new MemoryFiles());
  c.wasi.environ_sizes_get(0, 4);
  c.memory.grow(1);
  c.env.emscripten_notify_memory_growth(0);
  c.wasi.environ_sizes_get(70000, 70004);
  assert.equal(new DataView(c.memory.buffer).getUint32(70000, true), 0);
});
