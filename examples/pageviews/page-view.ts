/** What the example counts. */
import type { Schema } from "../../runtime/index.ts";

/** One request for a page. */
export interface PageView {
  readonly user: string;
  /** The path, without the query. */
  readonly page: string;
  /** Epoch ms. */
  readonly at: number;
}

/** Takes objects with `user`, `page` and `at`; a time may also be written as text (ISO 8601, or epoch ms). Any Standard Schema would do. */
export const pageViewSchema: Schema<PageView> = {
  "~standard": {
    version: 1,
    vendor: "pageviews",
    validate: (value) => {
      if (typeof value !== "object" || value === null || Array.isArray(value)) return failure("expected an object");
      const { user, page, at } = value as Partial<Record<keyof PageView, unknown>>;
      if (typeof user !== "string" || user === "") return failure("expected text", "user");
      if (typeof page !== "string" || page === "") return failure("expected text", "page");
      const time = typeof at === "string" ? timeOf(at) : at;
      if (typeof time !== "number" || Number.isNaN(time)) return failure("expected a time", "at");
      return { value: { user, page: withoutQuery(page), at: time } };
    },
  },
};

/** A path up to its query or fragment. */
export function withoutQuery(path: string): string {
  const end = path.search(/[?#]/);
  return end < 0 ? path : path.slice(0, end);
}

function timeOf(text: string): number {
  return /^-?\d+$/.test(text) ? Number(text) : Date.parse(text);
}

function failure(message: string, field?: string) {
  return { issues: [field === undefined ? { message } : { message, path: [field] }] };
}
