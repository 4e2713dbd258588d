/** What a Lua node needs of Node: files, and the wasm's second part. */
import fs from "node:fs";

import { ExitStatus, Files, KIND, OPEN, fileError } from "./files.js";

const STDOUT = 1;
const SIGPIPE = 13;

/** The real file system, by Node's synchronous calls: they work in workers without an event loop. */
export class NodeFiles {
  #fs;
  /** Numbers of WASI for what fails with real files alone. */
  errno = {
    EACCES: 2, EAGAIN: 6, EBUSY: 10, EFBIG: 22, ELOOP: 32, EMFILE: 33, ENAMETOOLONG: 37, ENFILE: 41, ENODEV: 43,
    ENOMEM: 48, ENOSPC: 51, ENOSYS: 52, ENXIO: 60, EPIPE: 64, EROFS: 69, ETXTBSY: 74, EXDEV: 75,
  };

  /** @param {typeof import("node:fs")} fs */
  constructor(fs) {
    this.#fs = fs;
  }

  standard(fd) {
    let terminal = false;
    try {
      terminal = this.#fs.fstatSync(fd).isCharacterDevice();
    } catch {
      // Closed by who started us: using it fails then, not starting.
    }
    return new NodeHandle(this.#fs, fd, { terminal, standard: true });
  }

  open(path, flags) {
    const c = this.#fs.constants;
    const access = flags & OPEN.write ? (flags & OPEN.read ? c.O_RDWR : c.O_WRONLY) : c.O_RDONLY;
    const fd = this.#fs.openSync(
      path,
      access |
        (flags & OPEN.create ? c.O_CREAT : 0) |
        (flags & OPEN.truncate ? c.O_TRUNC : 0) |
        (flags & OPEN.append ? c.O_APPEND : 0) |
        (flags & OPEN.exclusive ? c.O_EXCL : 0),
      0o666,
    );
    const stat = this.#fs.fstatSync(fd);
    return new NodeHandle(this.#fs, fd, {
      terminal: stat.isCharacterDevice(),
      seekable: stat.isFile() || stat.isBlockDevice() || stat.isDirectory(),
      append: (flags & OPEN.append) !== 0,
    });
  }

  remove(path) {
    try {
      this.#fs.unlinkSync(path);
    } catch (error) {
      if (!this.#fs.lstatSync(path, { throwIfNoEntry: false })?.isDirectory()) throw error;
      this.#fs.rmdirSync(path);
    }
  }

  rename(from, to) {
    this.#fs.renameSync(from, to);
  }

  stat(path) {
    const stat = this.#fs.statSync(path);
    const kind = stat.isFile() ? KIND.file : stat.isDirectory() ? KIND.directory : KIND.other;
    return { kind, size: stat.size, modified: Math.floor(stat.mtimeMs / 1000) };
  }

  list(path) {
    return this.#fs.readdirSync(path, { encoding: "buffer" });
  }

  cwd() {
    return process.cwd();
  }

  /** The time of the processors that the process has taken. */
  cpuMs() {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  }
}

// Node has no seek: a handle keeps its own position and says it at each read and write. Standard
// streams and pipes have none; there the operating system keeps it.
class NodeHandle {
  #fs;
  #fd;
  #position;
  #append;
  #standard;

  constructor(fs, fd, { terminal, seekable = false, append = false, standard = false }) {
    this.#fs = fs;
    this.#fd = fd;
    this.terminal = terminal;
    this.#position = seekable ? 0 : null;
    this.#append = append;
    this.#standard = standard;
  }

  read(bytes) {
    const n = this.#patiently(() => {
      try {
        return this.#fs.readSync(this.#fd, bytes, 0, bytes.length, this.#position);
      } catch (error) {
        if (error.code === "EOF") return 0; // how Windows says it
        throw error;
      }
    });
    if (this.#position !== null) this.#position += n;
    return n;
  }

  write(bytes) {
    const position = this.#append ? null : this.#position;
    for (let done = 0; done < bytes.length; ) {
      done += this.#patiently(() =>
        this.#fs.writeSync(
          this.#fd, bytes, done, bytes.length - done, position === null ? null : position + done));
    }
    if (this.#position === null) return;
    this.#position = this.#append ? this.#fs.fstatSync(this.#fd).size : position + bytes.length;
  }

  seek(offset, whence) {
    if (this.#position === null) throw fileError("ESPIPE");
    const base = [0, this.#position, whence === 2 ? this.#fs.fstatSync(this.#fd).size : 0][whence];
    if (base === undefined || base + offset < 0) throw fileError("EINVAL");
    return (this.#position = base + offset);
  }

  close() {
    if (!this.#standard) this.#fs.closeSync(this.#fd);
  }

  // A standard stream may be in non-blocking mode, set by whoever shares it: wait until it is ready.
  #patiently(attempt) {
    for (let waitMs = 1; ; waitMs = Math.min(waitMs * 2, 20)) {
      try {
        return attempt();
      } catch (error) {
        // Other programs die of SIGPIPE when nobody reads their output any more; Node ignores it.
        if (error.code === "EPIPE" && this.#fd === STDOUT) throw new ExitStatus(128 + SIGPIPE);
        if (error.code !== "EAGAIN") throw error;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, waitMs);
      }
    }
  }
}

/** Node's files, with standard output and error given to somebody else. */
class CapturedFiles extends NodeFiles {
  #output;

  constructor(output) {
    super(fs);
    this.#output = output;
  }

  standard(fd) {
    if (fd === 0) return super.standard(fd);
    return {
      terminal: true, // lines are wanted as they come
      read: () => refuse("EBADF"),
      write: (bytes) => this.#output(fd, bytes.slice()),
      seek: () => refuse("ESPIPE"),
      close: () => {},
    };
  }
}

function refuse(code) {
  throw fileError(code);
}

/** The files of a Lua node in a thread of Node. */
export function makeFiles({ capture }, output) {
  return new Files(capture ? new CapturedFiles(output) : new NodeFiles(fs), process.env);
}

/** Of a file that is given as a path or as a URL. */
export const pathOf = (source) => (/^file:/.test(source) ? new URL(source) : source);

/** The wasm's second part. */
export function loadRest(source) {
  try {
    return new WebAssembly.Module(fs.readFileSync(pathOf(source)));
  } catch (error) {
    throw new Error(`cannot load ${source}: ${error.message}`, { cause: error });
  }
}
