/** The page views job with 64 tasks for its keys: four stages behind exchanges. */
import { pageviewsOnAws } from "../../../examples/pageviews/on-aws.ts";

export default pageviewsOnAws({ name: "pageviews-64", parallelism: 64 });
