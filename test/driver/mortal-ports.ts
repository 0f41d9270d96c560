/** Ports of a process that dies at one of its calls, before the call has its effect or after it; afterwards no call has an effect. */
import type { Ports } from "../../runtime/ports/ports.ts";

export class Died extends Error {}

export interface Death {
  readonly at: number;
  readonly when: "before" | "after";
}

/** Dies at call number `at`, counted from 1 over all ports. */
export function mortal(ports: Ports, at: number, when: Death["when"]): Ports {
  const around = mortalCalls({ at, when });
  const { log, journal, pages, blobs, sinks } = ports;
  return {
    ...ports,
    log: around(log),
    journal: around(journal),
    pages: around(pages),
    blobs: around(blobs),
    sinks: around(sinks),
    source: (uid) => around(ports.source(uid)),
  };
}

/** Puts the same death around any number of objects. */
export function mortalCalls({ at, when }: Death): <T extends object>(port: T) => T {
  let calls = 0;
  return (port) =>
    new Proxy(port, {
      get: (target, name) => {
        const member = (target as any)[name];
        if (typeof member !== "function") return member;
        return async (...args: unknown[]) => {
          calls++;
          if (calls > at || (calls === at && when === "before")) throw new Died();
          const result = await member.apply(target, args);
          if (calls === at) throw new Died();
          return result;
        };
      },
    });
}
