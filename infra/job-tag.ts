/** The tag that all of a job's resources bear: for costs, and to find them. */
export const jobTag = "millrace:job";
