/** A handler of an older kind. */
exports.handler = (event, context, callback) => callback(null, event);
exports.inner = { handler: async () => "inner" };
