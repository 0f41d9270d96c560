/** Objects that are listed one at a time, as S3 lists 1,000: who takes the first listing for all of them misses something. */
import type { Blobs } from "../../runtime/ports/blobs.ts";

export function oneAListing<B extends Pick<Blobs, "list">>(blobs: B): B {
  const list: Blobs["list"] = async (prefix, after) => {
    const { blobs: listed, more } = await blobs.list(prefix, after);
    return { blobs: listed.slice(0, 1), more: more || listed.length > 1 };
  };
  return new Proxy(blobs, {
    get(target, name) {
      if (name === "list") return list;
      const member = Reflect.get(target, name) as unknown;
      return typeof member === "function" ? (member.bind(target) as unknown) : member;
    },
  });
}
