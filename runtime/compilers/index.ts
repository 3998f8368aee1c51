export { CUDA_ADVICE, findFittingNvcc, findNvcc, openCuda } from "./cuda.js";
export { CXX_ADVICE, findCxx, openCxx } from "./cxx.js";
export type { Toolchain } from "./toolchain.js";
