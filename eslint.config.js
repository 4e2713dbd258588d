// What is known everywhere: both in Node 20 and in browsers.
const shared = [
  "AbortController", "AbortSignal", "Atomics", "Blob", "BroadcastChannel", "Event", "EventTarget", "MessageChannel",
  "MessagePort", "ReadableStream", "Request", "Response", "SharedArrayBuffer", "TextDecoder", "TextEncoder",
  "TransformStream", "URL", "URLSearchParams", "WebAssembly", "WebSocket", "Worker", "WritableStream",
  "atob", "btoa", "clearInterval", "clearTimeout", "console", "crypto", "fetch", "globalThis", "navigator", "performance",
  "queueMicrotask", "setInterval", "setTimeout", "structuredClone",
];
const node = ["Buffer", "process", "setImmediate", "clearImmediate"];
const page = [
  "CompressionStream", "CustomEvent", "DecompressionStream", "ImageData", "Option", "XMLHttpRequest", "history", "localStorage", "matchMedia", "requestAnimationFrame", "addEventListener", "crossOriginIsolated", "parent", "removeEventListener",
  "AudioContext", "AudioWorkletNode", "OfflineAudioContext", "document", "getComputedStyle", "location", "self", "postMessage", "window", "customElements", "HTMLElement",
];
const worklet = ["AudioWorkletProcessor", "currentFrame", "registerActor", "registerProcessor", "sampleRate"];

const known = (...names) => Object.fromEntries(names.flat().map((name) => [name, "readonly"]));

export default [
  { ignores: ["build/", "dist/", "**/node_modules/"] },
  {
    files: ["**/*.js", "**/*.mjs"],
    languageOptions: {
      ecmaVersion: 2024,
      sourceType: "module",
      globals: known(shared, node, page, worklet),
    },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "array-callback-return": "error",
      "constructor-super": "error",
      "eqeqeq": ["error", "always", { null: "ignore" }],
      "for-direction": "error",
      "getter-return": "error",
      "no-async-promise-executor": "error",
      "no-class-assign": "error",
      "no-compare-neg-zero": "error",
      "no-cond-assign": ["error", "except-parens"],
      "no-const-assign": "error",
      "no-constant-binary-expression": "error",
      "no-dupe-args": "error",
      "no-dupe-class-members": "error",
      "no-dupe-else-if": "error",
      "no-dupe-keys": "error",
      "no-duplicate-case": "error",
      "no-duplicate-imports": "error",
      "no-empty": "error",
      "no-eval": "error",
      "no-fallthrough": "error",
      "no-func-assign": "error",
      "no-global-assign": "error",
      "no-import-assign": "error",
      "no-inner-declarations": "error",
      "no-irregular-whitespace": "error",
      "no-loss-of-precision": "error",
      "no-self-assign": "error",
      "no-self-compare": "error",
      "no-shadow-restricted-names": "error",
      "no-sparse-arrays": "error",
      "no-this-before-super": "error",
      "no-undef": "error",
      "no-unreachable": "error",
      "no-unsafe-finally": "error",
      "no-unsafe-optional-chaining": "error",
      "no-unused-private-class-members": "error",
      "no-unused-vars": ["error", { args: "after-used", caughtErrors: "none" }],
      "no-useless-catch": "error",
      "no-useless-escape": "error",
      "no-var": "error",
      "prefer-const": "error",
      "use-isnan": "error",
      "valid-typeof": "error",
    },
  },
];
