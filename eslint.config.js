import tseslint from "typescript-eslint";
import { bannedGlobals, bannedProperties, bannedSyntax, pureFolders } from "./test/layers/purity.js";

export default tseslint.config(
  { ignores: ["dist/", "cdk.out/", "node_modules/", ".millrace/", "results/"] },
  ...tseslint.configs.recommended,
  {
    rules: {
      eqeqeq: "error",
      "no-var": "error",
      "prefer-const": "error",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      // Operators move values of the author's types through code that cannot know them.
      "@typescript-eslint/no-explicit-any": "off",
      "@typescript-eslint/no-empty-object-type": "off",
      "no-console": ["error"],
    },
  },
  {
    files: ["cli/**", "examples/**", "bench/**", "test/**"],
    rules: { "no-console": "off" },
  },
  {
    files: pureFolders.map((folder) => `${folder}/**/*.ts`),
    rules: {
      "no-restricted-globals": ["error", ...bannedGlobals],
      "no-restricted-properties": ["error", ...bannedProperties],
      "no-restricted-syntax": ["error", ...bannedSyntax],
    },
  },
);
