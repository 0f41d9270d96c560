/** In a process of its own: counts 10,000,000 events that are made as they are read, and says how much memory the process took. */
import { tumblingCounts } from "./baseline.ts";
import { inputOf, runCounts } from "./engine.ts";
import { generateEvents } from "./events.ts";

const [count = 0, keys = 0] = process.argv.slice(2).map(Number);
const { checksum, checkpoints } = await runCounts("tumbling", inputOf(generateEvents(count, keys)));
const peakRssMb = process.resourceUsage().maxRSS / 1024;
const expected = tumblingCounts(generateEvents(count, keys)).text;
process.stdout.write(JSON.stringify({ peakRssMb, checkpoints, checksum: checksum.text, expected }));
