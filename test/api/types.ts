/** Proofs about types, held by the compiler alone. */

/** True only for the very same type, so that `any` passes for nothing else. */
export type Equal<A, B> = (<X>() => X extends A ? 1 : 2) extends <X>() => X extends B ? 1 : 2 ? true : false;

/** Compiles only when its argument is true. */
export function holds<_T extends true>(): void {}
