// An NVRTC without a GPU. With $LOSSC_FAKE_NVCC it has that compiler make PTX of the text and turns the PTX into C++; without, it puts the file
// $LOSSC_FAKE_PRELUDE in the place of the text's prelude and leaves the rest unchanged. Either is compiled with the machine's C++ compiler: the
// "cubin" is a shared object that fake_cuda.cc runs.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <vector>

#include "journal.h"
#include "ptx.h"

using namespace fake;

extern char** environ;

namespace {

enum : int { success = 0, invalidInput = 3, invalidProgram = 4, invalidOption = 5, compilation = 6 };

constexpr const char* preludeLine = "// ---- prelude ----\n";
constexpr const char* kernelsLine = "// ---- kernels ----\n";

struct Program {
  std::string source;
  std::string log;
  std::string cubin;
};

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// False, with the reason in the log, where the text has no place for a prelude.
bool swapPrelude(Program& program) {
  const auto path = environment("LOSSC_FAKE_PRELUDE");
  if (path.empty()) return true;
  const auto begin = program.source.find(preludeLine);
  const auto end = program.source.find(kernelsLine);
  if (begin == std::string::npos || end == std::string::npos || end < begin) {
    program.log = "the text has no lines \"// ---- prelude ----\" and \"// ---- kernels ----\"\n";
    return false;
  }
  const auto from = begin + std::strlen(preludeLine);
  program.source.replace(from, end - from, contents(path) + "\n");
  return true;
}

int start(const std::vector<std::string>& words, const std::string& errors) {
  std::vector<char*> argv;
  for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 2, errors.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  pid_t child = 0;
  const int spawned = posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (spawned != 0) return 127;
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 126;
}

/// False, with the reason in the log, where something of the PTX is not understood.
bool translate(Program& program, const std::string& ptx) {
  try {
    program.source = "#include \"ptx_lane.h\"\n" + fromPtx(ptx);
    return true;
  } catch (const NotUnderstood& problem) {
    program.log += std::string("error: ") + problem.what() + "\n";
    return false;
  }
}

/// Runs the compilers in a folder of their own; says whether they were content.
bool build(Program& program, const std::vector<std::string>& options) {
  std::string folder = (environment("TMPDIR").empty() ? "/tmp" : environment("TMPDIR")) + "/lossc-fake-XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) return false;
  const auto text = folder + "/lossc.cu", ptx = folder + "/lossc.ptx", source = folder + "/lossc.cc", object = folder + "/lossc.so", errors = folder + "/log";
  const auto run = [&](const std::vector<std::string>& words) {
    const bool fine = start(words, errors) == 0;
    program.log += contents(errors);
    return fine;
  };
  const auto nvcc = environment("LOSSC_FAKE_NVCC"), compiler = environment("CXX");
  bool fine = nvcc.empty() ? swapPrelude(program) : true;
  // PTX has been optimised already.
  std::vector<std::string> cxx{compiler.empty() ? "c++" : compiler, "-std=c++17", nvcc.empty() ? "-O1" : "-O0", "-shared", "-fPIC", "-ffp-contract=off", "-w"};
  if (!nvcc.empty()) {
    std::ofstream(text) << program.source;
    // Under the sanitizers of scripts/sanitize.sh, nvcc is to run without them.
    std::vector<std::string> words{"env", "-u", "LD_PRELOAD", nvcc, "--ptx", "-o", ptx, text};
    std::copy_if(options.begin(), options.end(), std::back_inserter(words), [](const auto& option) { return option != "-default-device"; });
    fine = run(words) && translate(program, contents(ptx));
    cxx.insert(cxx.end(), {"-I" FAKE_FOLDER, "-I" NATIVE_FOLDER, "-I" CODEGEN_FOLDER});
  }
  std::ofstream(source) << program.source;
  cxx.insert(cxx.end(), {"-o", object, source});
  fine = fine && run(cxx);
  if (fine) program.cubin = contents(object);
  for (const auto& file : {text, ptx, source, object, errors}) unlink(file.c_str());
  rmdir(folder.c_str());
  return fine;
}

}  // namespace

#define API extern "C" __attribute__((visibility("default")))

/// Its version and the architectures that it knows.
static std::string described() {
  static const char here = 0;
  return about(&here, "13.0 75 80 86 87 88 89 90 100 103 110 120 121");
}

static std::vector<int> architectures() {
  std::istringstream words(described());
  std::string version;
  words >> version;
  return {std::istream_iterator<int>(words), {}};
}

API int nvrtcVersion(int* major, int* minor) {
  return std::sscanf(described().c_str(), "%d.%d", major, minor) == 2 ? success : invalidInput;
}

API int nvrtcGetNumSupportedArchs(int* count) {
  *count = static_cast<int>(architectures().size());
  return success;
}

API int nvrtcGetSupportedArchs(int* numbers) {
  const auto known = architectures();
  std::copy(known.begin(), known.end(), numbers);
  return success;
}

API int nvrtcCreateProgram(Program** program, const char* source, const char* name, int headers, const char* const*, const char* const*) {
  if (const int wanted = injected("nvrtcCreateProgram"); wanted != success) return wanted;
  if (source == nullptr || name == nullptr || headers != 0) return invalidInput;
  *program = new Program{source, {}, {}};
  return success;
}

API int nvrtcDestroyProgram(Program** program) {
  if (*program == nullptr) return invalidProgram;
  delete *program;
  *program = nullptr;
  return success;
}

API int nvrtcCompileProgram(Program* program, int count, const char* const* options) {
  std::string list;
  bool architecture = false, known = true;
  for (int i = 0; i < count; ++i) {
    list += (i == 0 ? "" : ",") + quoted(options[i]);
    if (options[i][0] != '-') return invalidOption;
    const char* real = std::strstr(options[i], "=sm_");
    if (real == nullptr) continue;
    architecture = true;
    const auto numbers = architectures();
    known = std::find(numbers.begin(), numbers.end(), std::atoi(real + 4)) != numbers.end();
  }
  journal("nvrtcCompileProgram", "\"options\":[" + list + "]");
  if (const int wanted = injected("nvrtcCompileProgram"); wanted != success) return wanted;
  if (!known) return invalidOption;
  const int result = build(*program, {options, options + count}) ? success : compilation;
  // Without a real architecture there is only PTX.
  if (!architecture) program->cubin.clear();
  return result;
}

API int nvrtcGetProgramLogSize(Program* program, std::size_t* bytes) {
  *bytes = program->log.size() + 1;
  return success;
}

API int nvrtcGetProgramLog(Program* program, char* text) {
  std::memcpy(text, program->log.c_str(), program->log.size() + 1);
  return success;
}

API int nvrtcGetCUBINSize(Program* program, std::size_t* bytes) {
  *bytes = program->cubin.size();
  return success;
}

API int nvrtcGetCUBIN(Program* program, char* bytes) {
  std::memcpy(bytes, program->cubin.data(), program->cubin.size());
  return success;
}

API const char* nvrtcGetErrorString(int result) {
  switch (result) {
    case success:
      return "NVRTC_SUCCESS";
    case invalidOption:
      return "NVRTC_ERROR_INVALID_OPTION";
    case compilation:
      return "NVRTC_ERROR_COMPILATION";
    default:
      return "NVRTC_ERROR";
  }
}
