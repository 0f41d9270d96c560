/** Everything that reads what may be anything. */
import type { Decoder } from "./decoder.ts";
import { engineDecoders } from "./engine-decoders.ts";
import { answerDecoders } from "./answer-decoders.ts";
import { emulatorDecoders } from "./emulator-decoders.ts";
import { eventDecoders } from "./event-decoders.ts";
import { formatDecoders } from "./format-decoders.ts";

export const decoders: readonly Decoder[] = [
  ...engineDecoders,
  ...formatDecoders,
  ...eventDecoders,
  ...answerDecoders,
  ...emulatorDecoders,
];
