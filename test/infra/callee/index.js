exports.handler = async ({ messages }) => {
  for (const message of messages) console.log("CALLED " + JSON.stringify(message));
};
