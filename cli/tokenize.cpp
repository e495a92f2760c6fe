// holdfast tokenize: one text a line in, ids and tokens out, in the order of the lines.
#include <charconv>
#include <memory>
#include <span>

#include "base/json.h"
#include "base/parallel.h"
#include "base/utf8.h"
#include "cli/inputs.h"
#include "cli/lines.h"
#include "cli/table.h"
#include "cli/usage.h"

namespace holdfast::cli {
namespace {

struct Options {
  std::string model, file = "-";
  std::int64_t max_length = 0;
  bool offsets = false;
};

constexpr std::int64_t kChunk = 64;  // lines a worker takes at a time

void append(std::string& out, std::int64_t number) {
  char digits[24];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

/// Every token as it is printed: a JSON string, or text that is safe for a terminal.
std::vector<std::string> printed_tokens(const Tokenizer& tokenizer, bool json) {
  std::vector<std::string> out;
  for (std::int32_t id = 0; id < tokenizer.size(); ++id) {
    const std::string& token = tokenizer.token(id);
    out.push_back(json ? Json(token).dump() : utf8::printable(token));
  }
  return out;
}

/// Appends `write(i)` for i in [0, n), separated.
template <class Write>
void append_all(std::string& out, std::size_t n, std::string_view separator, const Write& write) {
  for (std::size_t i = 0; i < n; ++i) {
    if (i > 0) out += separator;
    write(i);
  }
}

class Printer {
 public:
  Printer(const Tokenizer& tokenizer, const Options& options, bool json)
      : tokenizer_(tokenizer),
        options_(options),
        json_(json),
        tokens_(printed_tokens(tokenizer, json)) {}

  void line(std::string& out, std::string_view text) const {
    const Encoding encoding = tokenizer_.encode(text, options_.max_length);
    json_ ? object(out, encoding) : words(out, encoding);
  }

 private:
  const std::string& token(const Encoding& encoding, std::size_t i) const {
    return tokens_[static_cast<std::size_t>(encoding.ids[i])];
  }

  void object(std::string& out, const Encoding& encoding) const {
    const std::size_t n = encoding.ids.size();
    out += "{\"ids\": [";
    append_all(out, n, ", ", [&](std::size_t i) { append(out, encoding.ids[i]); });
    out += "], \"tokens\": [";
    append_all(out, n, ", ", [&](std::size_t i) { out += token(encoding, i); });
    if (options_.offsets) {
      out += "], \"offsets\": [";
      append_all(out, n, ", ", [&](std::size_t i) {
        out += '[';
        append(out, encoding.offsets[i].first);
        out += ", ";
        append(out, encoding.offsets[i].second);
        out += ']';
      });
    }
    out += "]}\n";
  }

  void words(std::string& out, const Encoding& encoding) const {
    append_all(out, encoding.ids.size(), " ", [&](std::size_t i) {
      out += token(encoding, i);
      if (!options_.offsets) return;
      out += '@';
      append(out, encoding.offsets[i].first);
      out += '-';
      append(out, encoding.offsets[i].second);
    });
    out += '\n';
  }

  const Tokenizer& tokenizer_;
  const Options& options_;
  bool json_;
  std::vector<std::string> tokens_;
};

int run(const Options& options, const Common& common) {
  check_model_folder(options.model);
  const Tokenizer tokenizer = Tokenizer::load(options.model);
  LineReader reader(options.file);
  const Printer printer(tokenizer, options, common.json);
  set_thread_count(available_cpus());
  std::vector<std::string_view> lines;
  std::vector<std::string> chunks;
  while (reader.next(lines)) {
    const auto n = static_cast<std::int64_t>(lines.size());
    chunks.assign(static_cast<std::size_t>((n + kChunk - 1) / kChunk), {});
    parallel_for(n, kChunk, [&](std::int64_t begin, std::int64_t end) {
      std::string& out = chunks[static_cast<std::size_t>(begin / kChunk)];
      for (std::int64_t i = begin; i < end; ++i)
        printer.line(out, lines[static_cast<std::size_t>(i)]);
    });
    for (const std::string& chunk : chunks) working([&] { print(chunk); });
  }
  return kDone;
}

}  // namespace

Command add_tokenize(CLI::App& app, Common& common) {
  auto options = std::make_shared<Options>();
  CLI::App* sub =
      add_subcommand(app, common, "tokenize", "Shows how texts, one a line, become tokens",
                     "  echo 'Hello, world' | holdfast tokenize --model models/minilm\n"
                     "  holdfast tokenize --model models/minilm texts.txt --json --offsets");
  sub->add_option("--model", options->model, "Folder with tokenizer.json or vocab.txt")->required();
  sub->add_option("file", options->file, "Texts, one a line; - is standard input")
      ->capture_default_str();
  sub->add_flag("--offsets", options->offsets,
                "Also where each token stands, in bytes of the line");
  sub->add_option("--max-length", options->max_length, "Cut to this many tokens; 0: not cut")
      ->check(whole_number(0));
  return {sub, [options, &common] { return run(*options, common); }};
}

}  // namespace holdfast::cli
