/**
 * Imported before the tests: node:test follows every promise, to know which test a stray rejection belongs to, and that takes a fifth of
 * the time of tests that mostly wait for answers. With this it follows timers and sockets alone. A rejection that nobody handled still
 * fails the run: it is told beside the tests instead of under the name of one.
 */
import { createRequire } from "node:module";

interface AsyncHooks {
  createHook: (callbacks: object) => object;
}

// What a module imports by name cannot be replaced; what `require` gives can, as long as the test runner is not loaded yet.
const hooks = createRequire(import.meta.url)("node:async_hooks") as AsyncHooks;
const { createHook } = hooks;
hooks.createHook = (callbacks) => createHook({ ...callbacks, trackPromises: false });
