import { expect, test } from "vitest";
import { headPage } from "./head-page.js";

test("docs/head.md is what the plans say (npm run docs makes it anew)", async () => {
  await expect(headPage()).toMatchFileSnapshot("../../docs/head.md");
});
