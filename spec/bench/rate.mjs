/** How often per second: batch(n) does it n times. Once to warm up, then with more until it takes long enough. */
export async function rate(batch, seconds) {
  for (let n = 100; ; ) {
    const start = performance.now();
    await batch(n);
    const took = (performance.now() - start) / 1000;
    if (took >= seconds) return n / took;
    n = Math.ceil(n * Math.min(10, (1.2 * seconds) / Math.max(took, seconds / 100)));
  }
}
