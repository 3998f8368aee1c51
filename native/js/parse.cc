#include "js/parse.h"

#include <algorithm>
#include <climits>
#include <cstring>

#include "js/arguments.h"
#include "js/buffer.h"
#include "js/module.h"

namespace lossc {
namespace {

constexpr int maxBlock = 1024;
constexpr int maxCluster = 16;
constexpr int maxShared = 1 << 20;
constexpr std::int64_t maxGrid = 2147483647;

std::string nameOf(Dtype dtype) { return dtype == Dtype::f32 ? "f32" : dtype == Dtype::bf16 ? "bf16" : "f16"; }

/// Names of a matrix and its fields, for messages.
struct MatrixNames {
  const char *matrix, *memory, *offset, *dtype;
};

constexpr MatrixNames namesOfA{"a", "the memory of a", "the offset of a", "the dtype of a"};
constexpr MatrixNames namesOfB{"b", "the memory of b", "the offset of b", "the dtype of b"};
constexpr MatrixNames namesOfC{"c", "the memory of c", "the offset of c", "the dtype of c"};

/// A range of memory that a command names.
struct Span {
  std::uintptr_t address;
  std::size_t bytes;
};

class Parser {
 public:
  Parser(Napi::Env env, const Belongings& owner, bool hostMemory) : env_(env), owner_(owner), hostMemory_(hostMemory) {}

  void add(const Napi::Object& command) {
    const auto kind = toString(command.Get("kind"), "kind");
    if (kind == "launch") return add(launch(command));
    if (kind == "write") return add(write(command));
    if (kind == "read") return add(read(command));
    if (kind == "copy") return add(copy(command));
    if (kind == "fill") return add(fill(command));
    if (kind == "matmul") return add(matmul(command));
    throw Fault(Code::usage, "there is no command of kind \"" + kind + "\"");
  }

  Parsed finish() && { return std::move(parsed_); }

 private:
  void add(Command command) { parsed_.program.commands.push_back(std::move(command)); }

  Launch launch(const Napi::Object& command) {
    Launch launch{ModuleHandle::of(command.Get("module"), owner_, "module"),
                  toString(command.Get("kernel"), "kernel"),
                  toInteger(command.Get("elements"), "elements", 1, maxSafeInteger),
                  toInteger(command.Get("perBlock"), "perBlock", 1, maxSafeInteger),
                  static_cast<int>(toInteger(command.Get("block"), "block", 1, maxBlock)),
                  static_cast<int>(toInteger(command.Get("cluster"), "cluster", 1, maxCluster)),
                  static_cast<int>(toInteger(command.Get("shared"), "shared", 0, maxShared)), {}};
    if (launch.blocks() > maxGrid) throw Fault(Code::range, std::to_string(launch.blocks()) + " blocks are more than a launch can have");
    const auto bytes = command.Get("arguments");
    if (!bytes.IsArrayBuffer()) throw Fault(Code::usage, "arguments must be an ArrayBuffer");
    auto buffer = bytes.As<Napi::ArrayBuffer>();
    const auto size = buffer.ByteLength();
    if (size % fieldBytes != 0) throw Fault(Code::range, "arguments must be eight bytes a field, not " + std::to_string(size) + " bytes");
    launch.arguments.resize(size / fieldBytes);
    if (size > 0) std::memcpy(launch.arguments.data(), buffer.Data(), size);
    point(command.Get("pointers"), launch.arguments);
    return launch;
  }

  void point(const Napi::Value& value, std::vector<std::uint64_t>& arguments) {
    if (!value.IsArray()) throw Fault(Code::usage, "pointers must be an array");
    const auto pointers = value.As<Napi::Array>();
    const auto fields = static_cast<std::int64_t>(arguments.size());
    const auto count = pointers.Length();
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto entry = pointers.Get(i);
      if (!entry.IsObject()) throw Fault(Code::usage, "a pointer must be [field, memory, offset]");
      const auto pointer = entry.As<Napi::Object>();
      const auto field = toInteger(pointer.Get(0u), "the field of a pointer", 0, fields - 1);
      const auto span = memory(pointer.Get(1u), "the memory of a pointer");
      const auto offset = toInteger(pointer.Get(2u), "the offset of a pointer", 0, static_cast<std::int64_t>(span.bytes));
      arguments[static_cast<std::size_t>(field)] = span.address + static_cast<std::uintptr_t>(offset);
    }
  }

  Write write(const Napi::Object& command) {
    const auto from = view(command.Get("from"), "from");
    return {within(buffer(command.Get("to"), "to"), command.Get("offset"), from.size), from.data, from.size};
  }

  Read read(const Napi::Object& command) {
    const auto to = view(command.Get("to"), "to");
    return {to.data, within(buffer(command.Get("from"), "from"), command.Get("offset"), to.size), to.size};
  }

  Copy copy(const Napi::Object& command) {
    const auto bytes = static_cast<std::size_t>(toInteger(command.Get("bytes"), "bytes", 0, maxSafeInteger));
    const auto to = within(memory(command.Get("to"), "to"), command.Get("toOffset"), bytes);
    const auto from = within(memory(command.Get("from"), "from"), command.Get("fromOffset"), bytes);
    if (to < from + bytes && from < to + bytes) throw Fault(Code::range, "a copy must not overlap what it is made of");
    return {to, from, bytes};
  }

  Fill fill(const Napi::Object& command) {
    const auto bytes = static_cast<std::size_t>(toInteger(command.Get("bytes"), "bytes", 0, maxSafeInteger));
    const auto to = within(memory(command.Get("to"), "to"), command.Get("offset"), bytes);
    return {to, bytes, static_cast<unsigned char>(toInteger(command.Get("value"), "value", 0, 255))};
  }

  Matmul matmul(const Napi::Object& command) {
    const auto size = [&](const char* key) { return toInteger(command.Get(key), key, 0, INT_MAX); };
    const auto m = size("m"), n = size("n"), k = size("k");
    const auto a = matrix(command.Get("a"), namesOfA, m, k);
    const auto b = matrix(command.Get("b"), namesOfB, k, n);
    const auto c = matrix(command.Get("c"), namesOfC, m, n);
    if (a.dtype != b.dtype || (c.dtype != a.dtype && c.dtype != Dtype::f32))
      throw Fault(Code::usage, "there is no product of " + nameOf(a.dtype) + " by " + nameOf(b.dtype) + " into " + nameOf(c.dtype) +
                                   ": a and b have the same dtype, and c has that or f32");
    apart(c, m * n, "a", a, m * k);
    apart(c, m * n, "b", b, k * n);
    return {a,
            b,
            c,
            static_cast<int>(m),
            static_cast<int>(n),
            static_cast<int>(k),
            toBoolean(command.Get("transposeA"), "transposeA"),
            toBoolean(command.Get("transposeB"), "transposeB"),
            static_cast<float>(toNumber(command.Get("alpha"), "alpha")),
            static_cast<float>(toNumber(command.Get("beta"), "beta"))};
  }

  Matrix matrix(const Napi::Value& value, const MatrixNames& names, std::int64_t rows, std::int64_t columns) {
    const auto object = toObject(value, names.matrix);
    const auto span = memory(object.Get("memory"), names.memory);
    const auto offset = toInteger(object.Get("offset"), names.offset, 0, static_cast<std::int64_t>(span.bytes));
    const auto dtype = toDtype(object.Get("dtype"), names.dtype);
    const auto bytes = span.bytes - static_cast<std::size_t>(offset);
    if (static_cast<std::uint64_t>(rows) * static_cast<std::uint64_t>(columns) > bytes / bytesOf(dtype))
      throw Fault(Code::range, std::string(names.matrix) + " has " + std::to_string(bytes) + " bytes from offset " + std::to_string(offset) +
                                   " on, fewer than " +
                                   std::to_string(rows) + " × " + std::to_string(columns) + " of " + nameOf(dtype));
    const auto address = span.address + static_cast<std::uintptr_t>(offset);
    if (address % bytesOf(dtype) != 0) throw Fault(Code::range, std::string(names.matrix) + " is not aligned to " + nameOf(dtype));
    return {address, dtype};
  }

  static Dtype toDtype(const Napi::Value& value, const char* what) {
    const auto name = toString(value, what);
    for (const auto dtype : {Dtype::f32, Dtype::bf16, Dtype::f16})
      if (name == nameOf(dtype)) return dtype;
    throw Fault(Code::usage, std::string(what) + " must be \"f32\", \"bf16\" or \"f16\", not \"" + name + "\"");
  }

  /// c is written while a and b are still read.
  static void apart(const Matrix& c, std::int64_t entriesOfC, const char* what, const Matrix& read, std::int64_t entries) {
    const auto end = [](const Matrix& matrix, std::int64_t count) {
      return matrix.address + static_cast<std::size_t>(count) * bytesOf(matrix.dtype);
    };
    if (std::max(c.address, read.address) < std::min(end(c, entriesOfC), end(read, entries)))
      throw Fault(Code::range, std::string("c and ") + what + " overlap: a product cannot be computed in place");
  }

  /// The address of `bytes` bytes from the offset on.
  static std::uintptr_t within(const Span& span, const Napi::Value& offset, std::size_t bytes) {
    const auto begin = toInteger(offset, "offset", 0, static_cast<std::int64_t>(span.bytes));
    if (bytes > span.bytes - static_cast<std::size_t>(begin))
      throw Fault(Code::range, std::to_string(bytes) + " bytes from offset " + std::to_string(begin) + " on do not fit into " +
                                   std::to_string(span.bytes) + " bytes");
    return span.address + static_cast<std::uintptr_t>(begin);
  }

  Span memory(const Napi::Value& value, const char* what) {
    if (!isView(value)) return buffer(value, what);
    if (!hostMemory_) throw Fault(Code::usage, std::string(what) + " must be a buffer of the device: it cannot reach a typed array");
    const auto bytes = view(value, what);
    return {reinterpret_cast<std::uintptr_t>(bytes.data), bytes.size};
  }

  Span buffer(const Napi::Value& value, const char* what) {
    const auto& allocation = Buffer::of(value, owner_, what);
    parsed_.program.owners.push_back(allocation);
    return {allocation->address, allocation->bytes};
  }

  Bytes view(const Napi::Value& value, const char* what) {
    const auto bytes = toBytes(value, what);
    if (parsed_.views.IsEmpty()) parsed_.views = Napi::Array::New(env_);
    napi_set_element(env_, parsed_.views, viewCount_++, value);
    return bytes;
  }

  Napi::Env env_;
  const Belongings& owner_;
  const bool hostMemory_;
  Parsed parsed_;
  std::uint32_t viewCount_ = 0;
};

}  // namespace

Parsed parse(const Napi::Value& value, const Belongings& owner, bool hostMemory) {
  if (!value.IsArray()) throw Fault(Code::usage, "a program must be an array of commands");
  const auto commands = value.As<Napi::Array>();
  Parser parser(value.Env(), owner, hostMemory);
  for (std::uint32_t i = 0; i < commands.Length(); ++i) {
    try {
      parser.add(toObject(commands.Get(i), "a command"));
    } catch (const Fault& fault) {
      throw Fault(fault.code, "command " + std::to_string(i) + ": " + fault.what());
    }
  }
  return std::move(parser).finish();
}

}  // namespace lossc
