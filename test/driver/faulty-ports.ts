/** Thin wrappers around ports: something happens before or after one call. */
import { MillraceError } from "../../runtime/base/errors.ts";
import type { Ports } from "../../runtime/ports/ports.ts";

type Wrapped = "journal" | "blobs" | "log" | "sinks" | "pages";

/** The ports with one method replaced; `inner` is the original. */
export function replacing<P extends Wrapped, M extends keyof Ports[P]>(
  port: P,
  method: M,
  replace: (inner: Ports[P][M]) => Ports[P][M],
): (ports: Ports) => Ports {
  return (ports) => {
    const original = ports[port] as any;
    const inner = original[method].bind(original) as Ports[P][M];
    const replaced = replace(inner);
    const wrapped = new Proxy(original, {
      get: (target, name) => {
        if (name === method) return replaced;
        const member = target[name];
        return typeof member === "function" ? member.bind(target) : member;
      },
    });
    return { ...ports, [port]: wrapped };
  };
}

/** Faults that a test arms: how many of the coming calls fail, before or after their effect. */
export class Fault {
  before = 0;
  after = 0;

  /** Wraps a method so that it fails when armed. */
  around<F extends (...args: any[]) => Promise<any>>(inner: F): F {
    return (async (...args: any[]) => {
      if (this.before > 0) {
        this.before--;
        throw new MillraceError("unavailable", "a fault before the effect");
      }
      const result = await inner(...args);
      if (this.after > 0) {
        this.after--;
        throw new MillraceError("unavailable", "a fault after the effect");
      }
      return result;
    }) as F;
  }
}
