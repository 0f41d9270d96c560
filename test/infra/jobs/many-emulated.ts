/** The same of what has a stand-in on one machine. */
import { manyConnectors } from "./many-connectors.ts";

export default manyConnectors({ name: "many-emulated", emulated: true });
