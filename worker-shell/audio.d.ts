/** A node in an AudioWorklet: it plays samples that Lua writes ahead, and hosts an actor in JavaScript. */
import type { Methods, RemoteRef, System } from "./index.js";

export interface AudioNodeOptions {
  /** Lua finds the actor in the worklet by this name, and by it with ".samples" behind what takes samples; "audio". */
  name?: string;
  /** Of the output, and so how many samples a frame has; 1. */
  channels?: number;
  /** How many seconds can be written ahead, at least; 0.25. Playing begins when half of the room is used. */
  ahead?: number;
  /** What the worklet hosts: "player", or the name under which `registerActor(name, Class)` has a class there. */
  actor?: string;
  /** A module for the worklet that registers it: methods are called from Lua, `_render(channels, frames)` in the callback. */
  module?: string | URL;
  /** What that class is constructed with; of the player the `volume`. */
  actorOptions?: object;
  /** Where worklet.js is, if a bundler has moved it. */
  workletUrl?: string | URL;
}

export interface Samples extends Methods {
  /** Resolves to the frames ahead as soon as all of these are in the ring. */
  write(samples: ArrayBuffer | Uint8Array): Promise<number>;
  /** Nothing more is to come; resolves when all was played. */
  finish(): Promise<void>;
  /** What was not played never is. */
  clear(): void;
  stats(): {
    played: number;
    ahead: number;
    underruns: number;
    missing: number;
    capacity: number;
    channels: number;
    rate: number;
  };
}

/** The actor "player". */
export interface Player extends Methods {
  volume(wanted?: number): number;
  /** The loudest sample since the last time. */
  peak(): number;
}

export interface ActorAudioNode<T extends Methods = Player> {
  /** To be connected. */
  readonly node: AudioWorkletNode;
  /** In the worklet. */
  readonly actor: RemoteRef<T>;
  readonly samples: RemoteRef<Samples>;
  /** Ends the node: calls that wait for it fail with `node_down`. */
  close(): Promise<void>;
}

export function createAudioNode<T extends Methods = Player>(
  system: System,
  context: BaseAudioContext,
  options?: AudioNodeOptions,
): Promise<ActorAudioNode<T>>;
