/** What a handler returns that wants to return several values, as Lua functions do. */
class Results {
  constructor(values) {
    this.values = values;
  }
}

/** `return results(1, "two")` in a handler gives its caller in Lua two values. */
export function results(...values) {
  return new Results(values);
}

/** The values that a handler has returned. */
export function resultsOf(result) {
  if (result instanceof Results) return result.values;
  return result === undefined ? [] : [result];
}
