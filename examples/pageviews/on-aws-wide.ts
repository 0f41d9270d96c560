/** The page views job with four tasks for its keys. */
import { minutes } from "../../runtime/index.ts";
import { pageviewsOnAws } from "./on-aws.ts";

export default pageviewsOnAws({ name: "pageviews-wide", parallelism: 4, idleAfter: minutes(1) });
