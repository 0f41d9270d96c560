/**
 * Works on all of a list, some at once. Throws the first failure when all that were begun have ended: nothing is left pending (L16).
 * After a failure no more are begun.
 */
export async function eachOf<T>(all: readonly T[], atOnce: number, work: (one: T) => Promise<void>): Promise<void> {
  const failures: unknown[] = [];
  let next = 0;
  const worker = async () => {
    while (next < all.length && failures.length === 0) {
      try {
        await work(all[next++]!);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, all.length) }, worker));
  if (failures.length > 0) throw failures[0];
}
