// Tidying up after a test: what was opened last is closed first.

const stacks = new WeakMap();

/**
 * Runs `close` when the test `t` ends, however it ends. Node runs the `after` hooks of a test in
 * the order of their making, which would remove a profile under a browser that still runs.
 */
export function defer(t, close) {
  if (!stacks.has(t)) {
    stacks.set(t, []);
    t.after(() => unwind(stacks.get(t)));
  }
  stacks.get(t).push(close);
}

async function unwind(stack) {
  const errors = [];
  while (stack.length > 0) {
    try {
      await stack.pop()();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw new AggregateError(errors, "tidying up failed");
}
