// Files for Lua's io and os: the wasm's file imports over the real file system of Node, or over one
// in memory where there is none: files-node.js has the former.
//
//   wasm  --WASI calls and bindings/wasm_files.h-->  Files  --open, read, ...-->  NodeFiles | MemoryFiles
//
// `Files` knows the wasm side: memory, file numbers, error numbers. A file system knows paths (bytes
// in, bytes out, so that any name works) and gives out handles. It fails by throwing an error whose
// `code` is the POSIX name, as Node's do. A handle has:
//
//   terminal                  whether it is one, so that output is flushed by the line
//   read(bytes)               reads into the bytes, returns how many, 0 at the end
//   write(bytes)              writes all of them
//   seek(offset, whence)      whence is 0 start, 1 here, 2 end; returns the new position
//   close()

// Numbers of WASI, which are those of emscripten's errno. A file system whose files fail for more reasons has those
// in `errno`.
const ERRNO = {
  EBADF: 8, EEXIST: 20, EINVAL: 28, EIO: 29, EISDIR: 31, ENOENT: 44, ENOTDIR: 54, ENOTEMPTY: 55, EPERM: 63, ESPIPE: 70,
};

// How a file is opened; bindings/wasm_libc.c has the same bits.
export const OPEN = { read: 1, write: 2, create: 4, truncate: 8, append: 16, exclusive: 32 };

export const KIND = { file: 1, directory: 2, other: 3 };

export function fileError(code) {
  return Object.assign(new Error(code), { code });
}

function errnoOf(error, system) {
  const number = ERRNO[error?.code] ?? system.errno?.[error?.code];
  if (number !== undefined) return number;
  if (typeof error?.code === "string") return ERRNO.EIO;
  throw error; // a mistake of ours, nothing that happened to a file
}

/** What `proc_exit` throws through the wasm, whose instance must not be called again. */
export class ExitStatus {
  /** @param {number} code */
  constructor(code) {
    this.exit = code;
  }
}

/** The wasm's side of files: `imports` to instantiate with, then `attach` the instance's memory. */
export class Files {
  #system;
  #environment;
  #memory;
  #view = new DataView(new ArrayBuffer(0));
  #open;

  /**
   * @param {import("./files-node.js").NodeFiles | MemoryFiles} system
   * @param {Record<string, string | undefined>} environment what os.getenv sees
   */
  constructor(system, environment = {}) {
    this.#system = system;
    this.#open = [0, 1, 2].map((fd) => system.standard(fd));
    this.#environment = Object.entries(environment)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => new TextEncoder().encode(`${name}=${value}\0`));
    const bind = (methods) =>
      Object.fromEntries(
        Object.entries(methods).map(([name, method]) => [name, method.bind(this)]));
    this.imports = {
      wasi_snapshot_preview1: bind(wasi),
      env: bind(env),
      Math, // unbound, so that engines call their own functions straight from the wasm
    };
  }

  /** @param {WebAssembly.Memory} memory of the instance made with these imports */
  attach(memory) {
    this.#memory = memory;
  }

  /** Closes what the program left open. */
  close() {
    for (const fd of this.#open.keys()) if (fd > 2 && this.#open[fd]) this.drop(fd);
  }

  get system() {
    return this.#system;
  }

  get environment() {
    return this.#environment;
  }

  // The memory as it is now: it moves when it grows.
  get view() {
    if (this.#view.buffer !== this.#memory.buffer) this.#view = new DataView(this.#memory.buffer);
    return this.#view;
  }

  bytes(pointer, length) {
    return new Uint8Array(this.#memory.buffer, pointer >>> 0, length >>> 0);
  }

  // A copy, for who keeps it while the memory moves.
  path(pointer, length) {
    return this.bytes(pointer, length).slice();
  }

  handle(fd) {
    const handle = this.#open[fd];
    if (!handle) throw fileError("EBADF");
    return handle;
  }

  keep(handle) {
    let fd = 3;
    while (this.#open[fd]) fd++;
    this.#open[fd] = handle;
    return fd;
  }

  drop(fd) {
    const handle = this.handle(fd);
    this.#open[fd] = undefined;
    handle.close();
  }

  // Puts `bytes` at `pointer` when they fit; how long they are in any case.
  put(bytes, pointer, capacity) {
    if (bytes.length <= capacity >>> 0) this.bytes(pointer, bytes.length).set(bytes);
    return bytes.length;
  }

  // Calls fn for each of the pieces of memory that a WASI vector names, until it returns false.
  eachPiece(vector, count, fn) {
    for (let i = 0; i < count; i++) {
      const at = (vector >>> 0) + 8 * i;
      const piece = this.bytes(this.view.getUint32(at, true), this.view.getUint32(at + 4, true));
      if (piece.length > 0 && !fn(piece)) return;
    }
  }
}

// --- the imports, methods of Files ----------------------------------------------------------------

// A WASI call returns an error number.
const wasiCall = (body) =>
  function (...args) {
    try {
      body.apply(this, args);
      return 0;
    } catch (error) {
      return errnoOf(error, this.system);
    }
  };

// One of ours returns its result, or the error number negative.
const fileCall = (body) =>
  function (...args) {
    try {
      return body.apply(this, args);
    } catch (error) {
      return -errnoOf(error, this.system);
    }
  };

// Depending on the toolchain's version 64-bit arguments come as BigInt or as two halves.
const unlegalized = (args, at) =>
  typeof args[at] === "bigint"
    ? { value: Number(args[at]), rest: args.slice(at + 1) }
    : { value: (args[at] >>> 0) + args[at + 1] * 2 ** 32, rest: args.slice(at + 2) };

const CLOCK_REALTIME = 0;
const CLOCK_MONOTONIC = 1;
const FILETYPE_CHARACTER_DEVICE = 2;

const wasi = {
  fd_write: wasiCall(function (fd, vector, count, written) {
    const handle = this.handle(fd);
    let total = 0;
    this.eachPiece(vector, count, (piece) => {
      handle.write(piece);
      total += piece.length;
      return true;
    });
    this.view.setUint32(written >>> 0, total, true);
  }),

  fd_read: wasiCall(function (fd, vector, count, read) {
    const handle = this.handle(fd);
    let total = 0;
    this.eachPiece(vector, count, (piece) => {
      const n = handle.read(piece);
      total += n;
      return n === piece.length; // less than asked for: what comes next may not be there yet
    });
    this.view.setUint32(read >>> 0, total, true);
  }),

  fd_seek: wasiCall(function (...args) {
    const { value, rest: [whence, result] } = unlegalized(args, 1);
    const position = this.handle(args[0]).seek(value, whence);
    this.view.setBigUint64(result >>> 0, BigInt(position), true);
  }),

  fd_close: wasiCall(function (fd) {
    this.drop(fd);
  }),

  fd_fdstat_get: wasiCall(function (fd, result) {
    const { terminal } = this.handle(fd);
    this.bytes(result, 24).fill(0);
    if (terminal) this.view.setUint8(result >>> 0, FILETYPE_CHARACTER_DEVICE);
  }),

  environ_sizes_get: wasiCall(function (count, size) {
    this.view.setUint32(count >>> 0, this.environment.length, true);
    this.view.setUint32(size >>> 0, this.environment.reduce((sum, e) => sum + e.length, 0), true);
  }),

  environ_get: wasiCall(function (pointers, buffer) {
    let at = buffer >>> 0;
    this.environment.forEach((entry, i) => {
      this.view.setUint32((pointers >>> 0) + 4 * i, at, true);
      this.bytes(at, entry.length).set(entry);
      at += entry.length;
    });
  }),

  clock_time_get: wasiCall(function (...args) {
    const { rest: [result] } = unlegalized(args, 1);
    const ms =
      args[0] === CLOCK_REALTIME ? Date.now()
      : args[0] === CLOCK_MONOTONIC ? performance.now()
      : (this.system.cpuMs?.() ?? performance.now());
    this.view.setBigUint64(result >>> 0, BigInt(Math.round(ms * 1e3)) * 1000n, true);
  }),

  proc_exit(code) {
    throw new ExitStatus(code);
  },
};

const env = {
  mc_file_open: fileCall(function (path, length, flags) {
    return this.keep(this.system.open(this.path(path, length), flags));
  }),

  mc_file_remove: fileCall(function (path, length) {
    this.system.remove(this.path(path, length));
    return 0;
  }),

  mc_file_rename: fileCall(function (from, fromLength, to, toLength) {
    this.system.rename(this.path(from, fromLength), this.path(to, toLength));
    return 0;
  }),

  mc_file_stat: fileCall(function (path, length, result) {
    const { kind, size, modified } = this.system.stat(this.path(path, length));
    [kind, size, modified].forEach((number, i) =>
      this.view.setFloat64((result >>> 0) + 8 * i, number, true));
    return 0;
  }),

  mc_file_list: fileCall(function (path, length, buffer, capacity) {
    const names = this.system.list(this.path(path, length));
    const bytes = new Uint8Array(names.reduce((sum, name) => sum + name.length + 1, 0));
    let at = 0;
    for (const name of names) {
      bytes.set(name, at);
      at += name.length + 1;
    }
    return this.put(bytes, buffer, capacity);
  }),

  mc_file_cwd: fileCall(function (buffer, capacity) {
    return this.put(new TextEncoder().encode(this.system.cwd()), buffer, capacity);
  }),

  mc_timezone(seconds, dst) {
    const when = new Date(seconds * 1000);
    if (Number.isNaN(when.getTime())) return 0;
    const behind = when.getTimezoneOffset(); // minutes that local time is behind UTC
    const [winter, summer] = [0, 6].map((month) =>
      new Date(when.getFullYear(), month, 1).getTimezoneOffset());
    // Summer time is whichever half of the year is further ahead.
    this.view.setInt32(dst >>> 0, behind < Math.max(winter, summer) ? 1 : 0, true);
    return Math.round(-behind * 60);
  },

  mc_parse_number(text, length) {
    return Number(new TextDecoder().decode(this.path(text, length)));
  },

  // Views are looked up again at each use.
  emscripten_notify_memory_growth() {},
};

// --- memory ---------------------------------------------------------------------------------------

/** Files that live as long as this object: what a page has. Output goes to callbacks as bytes. */
export class MemoryFiles {
  #files = new Map(); // absolute path -> { bytes, size, modified }
  #folders = new Set(["/", "/tmp"]);
  #streams;

  /**
   * @param {object} [options]
   * @param {(bytes: Uint8Array) => void} [options.stdout] may keep the bytes
   * @param {(bytes: Uint8Array) => void} [options.stderr] may keep the bytes
   * @param {(max: number) => Uint8Array} [options.stdin] at most max bytes; none means the end
   * @param {Record<string, string | Uint8Array>} [options.files] what is there at first, by path
   */
  constructor({ stdout = () => {}, stderr = () => {}, stdin = () => new Uint8Array(), files = {} } = {}) {
    this.#streams = [stdin, stdout, stderr];
    for (const [path, content] of Object.entries(files)) this.add(path, content);
  }

  /** Puts a file there, and the folders on the way to it. */
  add(path, content) {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content.slice();
    const absolute = this.#resolve(path);
    for (let folder = parentOf(absolute); folder !== "/"; folder = parentOf(folder))
      this.#folders.add(folder);
    this.#files.set(absolute, { bytes, size: bytes.length, modified: Date.now() });
  }

  standard(fd) {
    return new StreamHandle(fd === 0 ? { source: this.#streams[0] } : { sink: this.#streams[fd] });
  }

  open(path, flags) {
    const absolute = this.#resolve(path);
    if (this.#folders.has(absolute)) throw fileError("EISDIR");
    let file = this.#files.get(absolute);
    if (file && flags & OPEN.exclusive) throw fileError("EEXIST");
    if (!file) {
      if (!(flags & OPEN.create) || !this.#folders.has(parentOf(absolute))) throw fileError("ENOENT");
      file = { bytes: new Uint8Array(0), size: 0, modified: Date.now() };
      this.#files.set(absolute, file);
    }
    if (flags & OPEN.truncate) file.size = 0;
    return new MemoryHandle(file, flags);
  }

  remove(path) {
    const absolute = this.#resolve(path);
    if (this.#files.delete(absolute)) return;
    if (!this.#folders.has(absolute)) throw fileError("ENOENT");
    if (this.list(path).length > 0) throw fileError("ENOTEMPTY");
    this.#folders.delete(absolute);
  }

  rename(from, to) {
    const [source, target] = [this.#resolve(from), this.#resolve(to)];
    const file = this.#files.get(source);
    if (!file) throw fileError(this.#folders.has(source) ? "EPERM" : "ENOENT");
    if (this.#folders.has(target)) throw fileError("EISDIR");
    if (!this.#folders.has(parentOf(target))) throw fileError("ENOENT");
    this.#files.delete(source);
    this.#files.set(target, file);
  }

  stat(path) {
    const absolute = this.#resolve(path);
    const file = this.#files.get(absolute);
    if (file) return { kind: KIND.file, size: file.size, modified: Math.floor(file.modified / 1000) };
    if (this.#folders.has(absolute)) return { kind: KIND.directory, size: 0, modified: 0 };
    throw fileError("ENOENT");
  }

  list(path) {
    const absolute = this.#resolve(path);
    if (!this.#folders.has(absolute)) throw fileError(this.#files.has(absolute) ? "ENOTDIR" : "ENOENT");
    return [...this.#files.keys(), ...this.#folders]
      .filter((other) => other !== "/" && parentOf(other) === absolute)
      .map((other) => new TextEncoder().encode(other.slice(other.lastIndexOf("/") + 1)));
  }

  cwd() {
    return "/";
  }

  #resolve(path) {
    const text = typeof path === "string" ? path : new TextDecoder().decode(path);
    if (text === "") throw fileError("ENOENT");
    const parts = [];
    for (const part of text.split("/")) {
      if (part === "..") parts.pop();
      else if (part !== "" && part !== ".") parts.push(part);
    }
    return "/" + parts.join("/");
  }
}

const parentOf = (absolute) => absolute.slice(0, absolute.lastIndexOf("/")) || "/";

class MemoryHandle {
  #file;
  #flags;
  #position = 0;

  terminal = false;

  constructor(file, flags) {
    this.#file = file;
    this.#flags = flags;
  }

  read(bytes) {
    if (!(this.#flags & OPEN.read)) throw fileError("EBADF");
    const { bytes: content, size } = this.#file;
    const n = Math.max(0, Math.min(bytes.length, size - this.#position));
    bytes.set(content.subarray(this.#position, this.#position + n));
    this.#position += n;
    return n;
  }

  write(bytes) {
    if (!(this.#flags & OPEN.write)) throw fileError("EBADF");
    const file = this.#file;
    if (this.#flags & OPEN.append) this.#position = file.size;
    const end = this.#position + bytes.length;
    if (end > file.bytes.length) {
      const grown = new Uint8Array(Math.max(end, 2 * file.bytes.length));
      grown.set(file.bytes.subarray(0, file.size));
      file.bytes = grown;
    }
    if (this.#position > file.size) file.bytes.fill(0, file.size, this.#position);
    file.bytes.set(bytes, this.#position);
    file.size = Math.max(file.size, end);
    file.modified = Date.now();
    this.#position = end;
  }

  seek(offset, whence) {
    const base = [0, this.#position, this.#file.size][whence];
    if (base === undefined || base + offset < 0) throw fileError("EINVAL");
    return (this.#position = base + offset);
  }

  close() {}
}

class StreamHandle {
  #source;
  #sink;

  constructor({ source, sink }) {
    this.#source = source;
    this.#sink = sink;
    this.terminal = sink !== undefined; // a page shows lines as they come
  }

  read(bytes) {
    if (!this.#source) throw fileError("EBADF");
    const got = this.#source(bytes.length).subarray(0, bytes.length);
    bytes.set(got);
    return got.length;
  }

  write(bytes) {
    if (!this.#sink) throw fileError("EBADF");
    this.#sink(bytes.slice());
  }

  seek() {
    throw fileError("ESPIPE");
  }

  close() {}
}
