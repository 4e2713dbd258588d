/// <reference lib="esnext.disposable" />
/** Mooncast: Lua 5.4 actors on workers, from JavaScript. */

/** Codes of what the system says; "raised" is what a handler raised. */
export type ErrorCode =
  | "timeout"
  | "cancelled"
  | "dead_actor"
  | "not_ready"
  | "no_such_method"
  | "bad_arguments"
  | "bad_return"
  | "unsendable"
  | "malformed"
  | "bad_id"
  | "type_mismatch"
  | "type_not_allowed"
  | "unknown_node"
  | "node_down"
  | "node_hung"
  | "none_available"
  | "overloaded"
  | "deadlock"
  | "call_depth"
  | "cannot_await"
  | "not_permitted"
  | "version_mismatch"
  | "budget"
  | "out_of_memory"
  | "closed"
  | "redacted";

export const errorCodes: readonly ErrorCode[];
export const VERSION: string;

export class ActorError extends Error {
  constructor(
    code: ErrorCode | "raised",
    message: string,
    more?: { node?: string; value?: unknown; traceback?: string; transport?: boolean; cause?: unknown },
  );
  readonly code: ErrorCode | "raised";
  /** True only when this runtime made the error itself, for a call of its own. */
  readonly transport: boolean;
  /** Of a redacted error: by which the log of its node has the whole. */
  readonly id?: string;
  /** Of a version_mismatch: which versions of the wire the two nodes speak. */
  readonly ours?: number;
  readonly theirs?: number;
  /** The node that it is about. */
  readonly node?: string;
  /** What the handler raised, as it raised it. */
  readonly value?: unknown;
  /** Of the side that raised. */
  readonly traceback?: string;
}

/** What can be sent. `undefined` and `null` are nil; floats stay floats unless they are integral. */
export type Value =
  | undefined
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | ArrayBuffer
  | RemoteRef
  | ActorError
  | Value[]
  | Map<Value, Value>
  | { [key: string]: Value };

/** What travels with a call or cast to all that is done for it, on every node. */
export interface Carried {
  /** A number of your own, from 1 to 2^53 - 1, or true for a new one. */
  trace?: number | true;
  /** Keys with plain values, 4 KiB at most; other keys of the handler that calls stay. */
  context?: { [key: string]: boolean | number | bigint | string | Uint8Array };
}

export interface CallOptions extends Carried {
  /** Milliseconds; the callee and what it calls share them. Infinity for no limit. */
  timeout?: number;
  /**
   * Takes the call back: whoever was called is told, and the promise is settled when it has confirmed
   * that, with `cancelled`, or with its result if it had returned.
   */
  signal?: AbortSignal;
}

/** Methods of an actor as its caller sees them. */
export type Methods = { [method: string]: (...args: any[]) => any };

export type ProxyOf<T extends Methods> = {
  [K in keyof T]: (...args: Parameters<T[K]>) => Promise<Awaited<ReturnType<T[K]>>>;
};

/** A reference to an actor. It can only be received, never made from its id. */
export class RemoteRef<T extends Methods = Methods> {
  private constructor();
  /** Node and instance. */
  readonly id: string;
  readonly type: string;
  readonly node: string;
  /** `ref.proxy.inc(5)` is `ref.call("inc", [5])`; a property, so that a ref can be awaited. */
  readonly proxy: ProxyOf<T>;
  /** The one result; an array when there are several, undefined when there is none. */
  call<K extends keyof T & string>(
    method: K,
    args?: Parameters<T[K]>,
    options?: CallOptions,
  ): Promise<Awaited<ReturnType<T[K]>>>;
  /** Resolves once the message was handed over. */
  cast<K extends keyof T & string>(method: K, args?: Parameters<T[K]>, options?: Carried): Promise<void>;
  /** Ends the actor once it has handled what came before. */
  stop(options?: CallOptions): Promise<void>;
  toString(): string;
}

/** What a handler written in JavaScript has as `this`, in front of the object's own names. */
export interface Context<O = unknown> {
  readonly self: O;
  readonly trace: number | null;
  /** What the caller gave to carry along. */
  readonly context: Readonly<Record<string, boolean | number | bigint | string | Uint8Array>>;
  /** Aborts when the caller no longer wants the answer. */
  readonly signal: AbortSignal;
  /** Milliseconds, Infinity when nobody chose a deadline. */
  remaining(): number;
  /**
   * A call whose answer the handler awaits, for cycles of waits: when it is the only one out, and was given
   * no signal, and waits for this very handler, it fails with `deadlock`. One that is raced against a timer
   * wants a signal (`AbortSignal.timeout(ms)`) instead: the timer cannot be seen.
   */
  call(ref: RemoteRef, method: string, args?: Value[], options?: CallOptions): Promise<any>;
  cast(ref: RemoteRef, method: string, args?: Value[], options?: Carried): Promise<void>;
}

/** `return results(1, "two")` gives a caller in Lua two values. */
export function results(...values: Value[]): unknown;

export interface ExposeOptions {
  /** Let a message in while another is awaiting. */
  reentrant?: boolean;
  /** Methods whose calls are let in while a handler awaits; the others wait. */
  interleave?: string[];
  /** Messages that may wait before calls are refused (`overloaded`); 4096 unless said otherwise. */
  mailbox?: number;
  /** What methods take and return, by name: `{ add: "integer, integer? -> integer" }`; the words are those of mc.actor. */
  signatures?: Record<string, string>;
}

export interface SystemOptions {
  /** How many Lua nodes to start; one less than there are processors. 0: one, in this very thread. */
  workers?: number;
  /** A program to run: its file, or in a page its address. */
  main?: string;
  /** What the program gets as arguments. */
  args?: Value[];
  /** How workers are linked: "ring" where memory can be shared. */
  link?: "ring" | "port";
  /** What calls between nodes are encoded in: "cbor", "json", or a codec of the program's. Calls from JavaScript use the first two. */
  codec?: "cbor" | "json" | (string & {});
  /** Milliseconds that a call without a timeout of its own waits: 30000. */
  callTimeout?: number;
  /** Bytes that Lua may use in each node; no limit unless set. What needs more raises "not enough memory". */
  maxMemory?: number;
  /** Milliseconds that a node may take to start: 30000. */
  startTimeout?: number;
  /** Kill a node that says nothing for so many milliseconds; off unless set. */
  hangTimeout?: number;
  /** Where the wasm is, or what it is. */
  wasm?: string | URL | ArrayBuffer | Uint8Array | WebAssembly.Module;
  /** Where the wasm's second part is, or what it is: what few programs use. Beside `wasm` as `mooncast-rest.wasm`, unless set. */
  wasmRest?: string | URL | ArrayBuffer | Uint8Array | WebAssembly.Module;
  /** The worker's script, where a bundler has moved it. */
  workerUrl?: string | URL;
  /** Files that every node finds, where there is no file system. */
  files?: Record<string, string | Uint8Array>;
  /** What Lua writes; without these it goes to the process's own standard output and error. */
  stdout?: (bytes: Uint8Array, node: string) => void;
  stderr?: (bytes: Uint8Array, node: string) => void;
  /** Log lines; without it warnings and errors go to the console. */
  log?: (line: { node: string; level: LogLevel; text: string }) => void;
  /** A program called os.exit; without it the system closes. */
  onExit?: (status: number) => void;
  /**
   * Whether actors of the one node may call those of the other: asked with two names, "host" among them, for each
   * pair when the second of them starts. Where it is false, and where it throws, calls, casts and stops raise
   * `not_permitted`. Spawns and answers are not asked about, nor what workers call in an AudioWorklet.
   */
  policy?: (from: string, to: string) => boolean;
  /** End a program with an error when nothing can ever happen in it: for programs nobody else feeds. */
  detectStuck?: boolean;
}

export type LogLevel = "error" | "warn" | "info" | "debug";

export type SystemEvent =
  | { type: "log"; node: string; level: LogLevel; text: string; seq?: number }
  | { type: "node"; node: string }
  | { type: "down"; node: string; code: ErrorCode; reason: string }
  | { type: "exit"; code: number }
  /** So many events were not read in time. */
  | { type: "dropped"; count: number };

export interface SystemStats {
  actors: number;
  tasks: number;
  pending: number;
  timers: number;
  late_replies: number;
  dead_letters: number;
  malformed: number;
  sent: number;
  received: number;
  foreign_messages: number;
  /** What every Lua node counts; undefined for one that did not answer. */
  nodes: Record<string, Record<string, number> | undefined>;
}

export class System implements AsyncDisposable {
  private constructor();
  /** Makes an actor of a type that the program defines, on a node of that name or the least loaded. */
  spawn<T extends Methods = Methods>(
    type: string,
    args?: Value[],
    options?: CallOptions & { on?: string },
  ): Promise<RemoteRef<T>>;
  lookup<T extends Methods = Methods>(name: string): Promise<RemoteRef<T> | undefined>;
  /** Makes an object's methods callable from Lua. */
  expose(name: string, object: object, options?: ExposeOptions): RemoteRef;
  /** Runs a program's file; resolves when the program has ended. */
  run(file: string, ...args: Value[]): Promise<void>;
  /** As run, with the program's text. */
  runSource(chunkname: string, source: string | Uint8Array, args?: Value[]): Promise<void>;
  /** When the program given as `main` has ended. */
  readonly finished: Promise<void>;
  /** Evaluates what was typed at a prompt. */
  eval(
    entry: string,
    options?: CallOptions & { on?: string },
  ): Promise<{ status: "ok" | "more" | "error"; text: string }>;
  /** Names that go on what was typed, and the part of it that they replace. */
  complete(line: string, options?: { on?: string }): Promise<[string[], string]>;
  /** Living Lua nodes, in the order they were started. */
  nodes(): string[];
  startNode(): Promise<string>;
  /** Lets a node end itself. */
  stopNode(name: string): Promise<void>;
  /** Ends a node from outside, whatever it does. */
  terminate(name: string): Promise<void>;
  events(): AsyncIterableIterator<SystemEvent>;
  info(): { node: string; link: "ring" | "port" | "memory"; version: string; workers: number; sharedMemory: boolean };
  stats(): Promise<SystemStats>;
  /** Ends every node and fails what is pending. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export function createSystem(options?: SystemOptions): Promise<System>;
