/** The same with tasks of their own for each source. */
import { manyConnectors } from "./many-connectors.ts";

export default manyConnectors({ name: "many-connectors-wide", emulated: false, apart: true });
