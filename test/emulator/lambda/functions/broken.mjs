/** A function that cannot be initialised. */
console.log("initialising");
throw new TypeError("no configuration");
