#include "ptx.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <string_view>
#include <utility>
#include <vector>

namespace fake {
namespace {

using Text = std::string_view;
constexpr auto all = Text::npos;

[[noreturn]] void refuse(Text what) { throw NotUnderstood("this is not understood of the PTX: " + std::string(what)); }

Text trimmed(Text text) {
  constexpr const char* spaces = " \t\n";
  const auto begin = text.find_first_not_of(spaces);
  return begin == all ? Text() : text.substr(begin, text.find_last_not_of(spaces) - begin + 1);
}

/// The texts between separators outside of braces.
std::vector<Text> split(Text text, char separator) {
  std::vector<Text> parts;
  int depth = 0;
  for (std::size_t begin = 0, i = 0; i <= text.size(); ++i) {
    const char c = i < text.size() ? text[i] : separator;
    depth += (c == '{') - (c == '}');
    if (c != separator || depth != 0) continue;
    if (const auto part = trimmed(text.substr(begin, i - begin)); !part.empty()) parts.push_back(part);
    begin = i + 1;
  }
  return parts;
}

std::string replaced(Text text, Text what, Text by) {
  std::string result(text);
  for (auto at = result.find(what); at != all; at = result.find(what, at + by.size())) result.replace(at, what.size(), by);
  return result;
}

/// A name of PTX as one of C++.
std::string identifier(Text name) { return replaced(replaced(name, "%", "_"), "$", "_"); }

std::string operand(Text text);

std::string operands(const std::vector<Text>& list) {
  std::string result;
  for (const auto& each : list) result += (result.empty() ? "" : ", ") + operand(each);
  return result;
}

std::string operand(Text text) {
  constexpr std::pair<Text, const char*> special[]{
      {"%tid.x", "u32(lane->thread)"}, {"%ntid.x", "u32(lane->threads)"}, {"%ctaid.x", "u32(lane->block)"}, {"%cluster_ctarank", "u32(lane->rank)"}};
  const auto inside = text.substr(1, text.size() - 2);
  if (text.front() == '{') return "ptx::all(" + operands(split(inside, ',')) + ")";
  if (text.find('|') != all) return "ptx::all(" + operands(split(text, '|')) + ")";
  if (text.front() == '[') {
    const auto plus = inside.find('+');
    return "u64(" + operand(trimmed(inside.substr(0, plus))) + ")" + (plus == all ? "" : " + " + operand(inside.substr(plus + 1)));
  }
  for (const auto& [name, value] : special)
    if (text == name) return value;
  if (text.starts_with("0f")) return "ptx::as<f32>(u32(0x" + std::string(text.substr(2)) + "))";
  if (text.starts_with("0d")) return "ptx::as<f64>(u64(0x" + std::string(text.substr(2)) + "))";
  if (std::isdigit(static_cast<unsigned char>(text.front())) || text.front() == '-') return "s64(" + std::string(text) + ")";
  return identifier(text);
}

bool isType(Text word) {
  constexpr Text types = " u8 u16 u32 u64 s8 s16 s32 s64 b8 b16 b32 b64 f16 bf16 f16x2 bf16x2 f32 f64 pred ";
  return types.find(" " + std::string(word) + " ") != all;
}

/// `cvt.rn.f32.s64 a, b` becomes `op_cvt_rn<f32, s64>(a, b)`.
std::string instruction(Text text) {
  const auto space = std::min(text.find_first_of(" \t"), text.size());
  const auto opcode = text.substr(0, space);
  const auto list = split(text.substr(space), ',');
  if (opcode == "ret") return "return;";
  if ((opcode == "bra" || opcode == "bra.uni") && list.size() == 1) return "goto " + identifier(list[0]) + ";";
  auto words = split(opcode, '.');
  std::string name = "op", types;
  for (; !words.empty() && isType(words.back()); words.pop_back()) types = std::string(words.back()) + (types.empty() ? "" : ", ") + types;
  for (const auto& word : words) name += "_" + replaced(word, "::", "_");
  return name + (types.empty() ? "" : "<" + types + ">") + "(" + operands(list) + ");";
}

/// `.b32 %r<730>` or `.b16 a, b`, which stood behind `.reg`.
std::string registers(Text text) {
  const auto space = text.find_first_of(" \t");
  const auto type = text.substr(0, space);
  if (space == all || type.front() != '.' || !isType(type.substr(1))) refuse(text);
  std::string names;
  const auto declare = [&](const std::string& name) { names += (names.empty() ? " " : ", ") + name; };
  for (const auto& name : split(text.substr(space), ',')) {
    const auto open = name.find('<');
    const auto stem = identifier(name.substr(0, open));
    if (open == all) declare(stem);
    for (int i = 0, count = open == all ? 0 : std::atoi(name.data() + open + 1); i < count; ++i) declare(stem + std::to_string(i));
  }
  return std::string(type.substr(1)) + names + ";";
}

/// Without the predicate before it.
Text unguarded(Text text) { return text.starts_with('@') ? trimmed(text.substr(std::min(text.find_first_of(" \t"), text.size()))) : text; }

std::string statement(Text text) {
  if (text.empty() || text == ".pragma \"nounroll\"") return "";
  if (text.starts_with(".reg ")) return registers(trimmed(text.substr(5)));
  if (text.front() == '.') refuse(text);
  if (text.front() != '@') return instruction(text);
  return "if (" + identifier(text.substr(1, text.find_first_of(" \t") - 1)) + ") " + instruction(unguarded(text));
}

/// Whether a statement becomes an instruction of the machine: registers are named and moved in PTX as nowhere else.
bool works(Text statement) {
  if (statement.empty() || statement.front() == '.') return false;
  statement = unguarded(statement);
  return !statement.starts_with("mov.") && !statement.starts_with("cvta.");
}

/// A statement stands between two of `;`, `{`, `}` and a label's `:`. The braces of operands are no blocks. Instructions are counted by the
/// run.
std::string body(Text text) {
  std::string result;
  std::size_t begin = 0;
  int run = 0;
  const auto count = [&] {
    if (run > 0) result += "  ptx_executed += " + std::to_string(std::exchange(run, 0)) + ";\n";
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (Text(";:{}").find(c) == all) continue;
    const auto before = trimmed(text.substr(begin, i - begin));
    if (text.substr(i, 2) == "::") {
      ++i;
      continue;
    }
    if (c == ';') {
      run += works(before);
      const auto made = statement(before);
      if (made.find("goto ") != all || made.find("return;") != all) count();
      result += "  " + made + "\n";
    } else if (c == ':') {
      count();
      result += identifier(before) + ":;\n";
    } else if (before.empty())
      result += c;
    else
      continue;
    begin = i + 1;
  }
  if (const auto rest = trimmed(text.substr(begin)); !rest.empty()) refuse(rest);
  return result;
}

/// `.visible .entry k0(.param .align 8 .b8 k0_param_0[128]) .maxntid 256, 1, 1`, and what stands in its braces.
std::string entry(Text head, Text inside) {
  constexpr Text mark = ".visible .entry ";
  const auto open = head.find('('), close = head.find(')');
  if (!head.starts_with(mark) || close == all) refuse(head);
  const std::string name(head.substr(mark.size(), open - mark.size()));
  const auto parameters = split(head.substr(open + 1, close - open - 1), ',');
  if (parameters.size() > 1) refuse("several parameters of " + name);
  std::string cluster = "1", threads = "1024", arguments;
  for (const auto& line : split(head.substr(close + 1), '\n')) {
    const auto space = std::min(line.find(' '), line.size());
    const auto directive = line.substr(0, space);
    if (directive == ".maxntid")
      threads = replaced(line.substr(space), ",", " *");
    else if (directive == ".reqnctapercluster")
      cluster = replaced(line.substr(space), ",", " *");
    else if (directive != ".minnctapersm" && directive != ".explicitcluster")
      refuse(line);
  }
  if (!parameters.empty()) {
    const auto parameter = parameters[0].substr(parameters[0].rfind(' ') + 1);
    arguments = "  const u64 " + std::string(parameter.substr(0, parameter.find('['))) + " = u64(arguments);\n";
  }
  return "struct " + name + "_lane : ptx::Lane {\n  void run() {\n" + arguments + body(inside) + "  }\n};\nextern \"C\" {\nextern const int " + name +
         "_cluster = " + cluster + ", " + name + "_threads = " + threads + ";\nvoid " + name + "(const void* arguments, const LosscLane* lane) { " + name +
         "_lane{{lane, arguments}}.run(); }\n}\n";
}

std::string withoutComments(std::string text) {
  for (auto at = text.find("//"); at != all; at = text.find("//", at)) text.erase(at, text.find('\n', at) - at);
  return text;
}

}  // namespace

std::string fromPtx(const std::string& ptx) {
  const auto text = withoutComments(ptx);
  std::string result, shared;
  for (auto rest = trimmed(text); !rest.empty();) {
    const auto take = [&](std::size_t length) {
      const auto taken = rest.substr(0, length);
      rest = trimmed(rest.substr(std::min(length + 1, rest.size())));
      return trimmed(taken);
    };
    if (rest.starts_with(".visible")) {
      const auto head = take(rest.find('{'));
      std::size_t length = 0;
      for (int depth = 1; length < rest.size(); ++length)
        if ((depth += (rest[length] == '{') - (rest[length] == '}')) == 0) break;
      result += entry(head, take(length));
    } else if (rest.starts_with(".extern .shared ")) {
      // The one array of shared memory is the block's; it begins where shared memory does.
      const auto array = take(rest.find(';'));
      if (!shared.empty() || !array.ends_with("[]")) refuse(array);
      const auto name = array.substr(array.rfind(' ') + 1);
      shared = "constexpr u32 " + std::string(name.substr(0, name.size() - 2)) + " = 0;\n";
    } else if (const auto line = take(rest.find('\n')); !line.starts_with(".version ") && !line.starts_with(".target ") && line != ".address_size 64") {
      refuse(line);
    }
  }
  return shared + result;
}

}  // namespace fake
