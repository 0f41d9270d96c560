/** A keyed stage of 64 tasks, and no other. */
import { keyedState } from "./keyed-state.ts";

export default keyedState({ parallelism: 64 });
