/** The same for many views: four tasks for each of what it counts by, fed through exchanges. */
import { pageviewsOnAws } from "./on-aws.ts";

export default pageviewsOnAws("pageviews-wide", 4);
