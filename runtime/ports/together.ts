/** Waits for calls that run side by side. */

/**
 * The results, in order. All are awaited before any failure is passed on: no promise is left pending at the end of a turn, since an
 * environment may be frozen there and would go on with it in the midst of another turn (L16).
 */
export async function together<T extends readonly unknown[]>(work: { readonly [K in keyof T]: Promise<T[K]> }): Promise<T> {
  const results = await Promise.allSettled(work as readonly Promise<unknown>[]);
  const failed = results.find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
  return results.map((result) => (result as PromiseFulfilledResult<unknown>).value) as unknown as T;
}
