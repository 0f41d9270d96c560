/** Made-up visits to a made-up site: a few pages are much asked for, a few views come late, a few lines are broken. */
import { generator, ndjson, type Source } from "../../runtime/index.ts";
import { pageViewSchema, type PageView } from "./page-view.ts";

const pages = ["/", "/docs", "/docs/windows", "/docs/state", "/docs/time", "/blog", "/pricing", "/about", "/login", "/search"];
const startAt = Date.UTC(2025, 2, 3, 8);
/** Six hours of visits, whatever their number. */
const spanMs = 6 * 3_600_000;

/** Lines of JSON, some of them broken on purpose: decoded as those of a file are. */
export function madeUpViews(count: number): Source<PageView> {
  const lines: Source<any> = generator({ seed: 1, count, next: (index, random) => lineOf(index, count, random) });
  const format = ndjson(pageViewSchema);
  return {
    ...lines,
    decode: (record, target) =>
      lines.decode(record, {
        accept: (line: string) => {
          const bytes = Buffer.from(line);
          try {
            target.accept(format.decode({ bytes, text: line }));
          } catch (error) {
            target.reject((error as Error).message, bytes);
          }
        },
        reject: (reason) => target.reject(reason),
      }),
  };
}

function lineOf(index: number, count: number, random: () => number): string {
  const kind = random();
  if (kind < 0.0001) return `{"user":"u${index}","page":"/docs","at":`;
  if (kind < 0.0002) return JSON.stringify({ user: `u${index}`, page: "/blog", at: "yesterday" });
  const at = Math.floor(startAt + (index / count) * spanMs) - delayOf(kind, random);
  return JSON.stringify({ user: userOf(index / count, random), page: pageOf(random), at });
}

/** Most views come a little out of order, one in a thousand long after its time. */
function delayOf(kind: number, random: () => number): number {
  return kind < 0.0012 ? 120_000 + Math.floor(random() * 600_000) : Math.floor(random() * 45_000);
}

/** Users come for a while and leave: each quarter of an hour brings new ones, of whom a few look at much. */
function userOf(time: number, random: () => number): string {
  const quarter = Math.floor(time * (spanMs / 900_000));
  return `user-${quarter * 400 + Math.floor(random() ** 2 * 800)}`;
}

function pageOf(random: () => number): string {
  const rank = Math.floor(random() ** 2 * 400);
  return pages[rank] ?? `/docs/guides/${rank}`;
}
