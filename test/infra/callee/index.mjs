/** A function that a job calls: prints what it is given. */
export const handler = async ({ messages }) => {
  for (const message of messages) console.log(`CALLED ${JSON.stringify(message)}`);
};
