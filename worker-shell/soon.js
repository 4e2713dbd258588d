/** A task of its own in the event loop, as soon as other events were handled. */

/** What setImmediate is where it does not exist: setTimeout would be late by milliseconds. */
function messageTask() {
  const { port1, port2 } = new MessageChannel();
  const queue = [];
  port1.onmessage = () => queue.shift()();
  return (task) => {
    queue.push(task);
    port2.postMessage(null);
  };
}

/** @type {(task: () => void) => void} */
export const soon = globalThis.setImmediate ?? messageTask();
