/**
 * `node:http`, as bundles have it. Imported by name, Node reads every property of it beforehand, and some of them load all of `fetch`:
 * a tenth of a second of each cold start, for what most functions never call. Asked for so, properties are read when they are used.
 */
module.exports = process.getBuiltinModule("node:http");
