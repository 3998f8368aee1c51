// A process of its own for the tests, from the built package: writes a file aside. With `wait` it says so and never comes to an end, with `large` it
// says how it failed.
import { writeAside } from "../../dist/runtime/files/user-files.js";

const [path, job] = process.argv.slice(2);
const jobs = {
  async wait(file) {
    await file.write("half of it");
    console.log("aside");
    await new Promise((resolve) => setTimeout(resolve, 1_000_000));
  },
  async large(file) {
    await file.writeFile(new Uint8Array(2 ** 20));
  },
};
try {
  await writeAside(path, "the file", jobs[job]);
} catch (error) {
  console.log(error.code, error.message);
}
