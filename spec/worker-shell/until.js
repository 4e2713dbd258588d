/** Waits until something is so: tests must not guess how long a busy machine takes. */
export async function until(condition, ms = 10_000) {
  const deadline = performance.now() + ms;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`it never was so: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
