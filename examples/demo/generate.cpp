// Writes the demo's data: news and medical texts with labels, six CSV files. The same options give
// the same bytes everywhere. README.md in this folder says how and why the two tasks get in each
// other's way.
#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <random>
#include <span>
#include <string>
#include <string_view>

#include "base/file.h"
#include "examples/demo/words.h"

namespace demo {
namespace {

struct Options {
  std::filesystem::path directory;
  std::uint64_t seed = 1;
  double shared = 0.06;    // share of the telling words that mean another class in the other task
  double stray = 0.08;     // share of the telling words that are drawn from a wrong class
  double aside = 0.3;      // share of the texts with a sentence about another class
  double confused = 0.04;  // share of the texts whose label is drawn at random
  int news = 6000, medicine = 4000, valid = 600, test = 1500;
};

/// Draws of fixed algorithms: the distributions of <random> differ between standard libraries.
class Draw {
 public:
  explicit Draw(std::uint64_t seed) : engine_(seed) {}
  int below(int n) { return static_cast<int>(engine_() % static_cast<std::uint64_t>(n)); }
  bool chance(double p) { return static_cast<double>(engine_() >> 11) * 0x1p-53 < p; }
  std::string_view from(std::span<const std::string_view> words) {
    return words[static_cast<std::size_t>(below(static_cast<int>(words.size())))];
  }

 private:
  std::mt19937_64 engine_;
};

class Writer {
 public:
  Writer(const Options& options, bool news, std::uint64_t stream)
      : options_(options),
        news_(news),
        domain_(news ? kNews : kMedicine),
        draw_(options.seed * 64 + stream) {}

  std::string csv(int rows) {
    std::string out = "text,label\n";
    for (int row = 0; row < rows; ++row) {
      const int topic = draw_.below(kClasses);
      const int label = draw_.chance(options_.confused) ? draw_.below(kClasses) : topic;
      out += '"' + text(topic) + "\"," +
             std::string(domain_.labels[static_cast<std::size_t>(label)]) + '\n';
    }
    return out;
  }

 private:
  /// News opens with what it is about and may end with something else; an abstract is the other way
  /// round.
  std::string text(int topic) {
    const int other = (topic + 1 + draw_.below(kClasses - 1)) % kClasses;
    const bool aside = draw_.chance(options_.aside);
    const std::string main = fill(draw_.from(news_ ? kNewsMain : kMedicineMain), topic, other);
    if (!aside) return main + '.';
    const std::string extra = fill(draw_.from(news_ ? kNewsAside : kMedicineAside), topic, other);
    return news_ ? main + ". " + extra + '.' : extra + ". " + main + '.';
  }

  std::string fill(std::string_view sentence, int topic, int other) {
    std::string out;
    for (std::size_t at = 0; at < sentence.size(); ++at) {
      if (sentence[at] != '{') {
        out += sentence[at];
        continue;
      }
      switch (sentence[at + 1]) {
        case 'k':
          out += telling(draw_.chance(options_.stray) ? draw_.below(kClasses) : topic);
          break;
        case 'o':
          out += telling(other);
          break;
        case 'p':
          out += draw_.from(kPlaces);
          break;
        case 't':
          out += draw_.from(kTimes);
          break;
        case 'a':
          out += draw_.from(kAdjectives);
          break;
        case 'v':
          out += draw_.from(kAdverbs);
          break;
        default:
          out += std::to_string(2 + draw_.below(90));
          break;
      }
      at += 2;
    }
    return out;
  }

  /// A word that speaks for `topic` in this domain.
  std::string_view telling(int topic) {
    const auto own = static_cast<std::size_t>(topic);
    if (!draw_.chance(options_.shared)) return draw_.from(domain_.own[own]);
    const auto across = static_cast<std::size_t>(draw_.below(kClasses));
    return draw_.from(news_ ? kShared[own][across] : kShared[across][own]);
  }

  const Options& options_;
  bool news_;
  const Domain& domain_;
  Draw draw_;
};

void write(const Options& options) {
  std::filesystem::create_directories(options.directory);
  std::uint64_t stream = 0;
  for (const bool news : {true, false}) {
    const std::string name = news ? "news" : "medical";
    const int train = news ? options.news : options.medicine;
    for (const auto& [split, rows] :
         {std::pair{"train", train}, {"valid", options.valid}, {"test", options.test}})
      holdfast::write_file(options.directory / (name + '_' + split + ".csv"),
                           Writer(options, news, stream++).csv(rows));
  }
}

}  // namespace
}  // namespace demo

int main(int argc, char** argv) {
  demo::Options options;
  CLI::App app{
      "Writes news_{train,valid,test}.csv and medical_{train,valid,test}.csv into a folder."};
  app.add_option("directory", options.directory, "Where to write")->required();
  app.add_option("--seed", options.seed, "Other texts, the same tasks")->capture_default_str();
  app.add_option("--shared", options.shared,
                 "Share of telling words that mean another class in the other task")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--stray", options.stray, "Share of telling words from a wrong class")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--aside", options.aside, "Share of texts with a sentence about another class")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--confused", options.confused, "Share of texts with a random label")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--news", options.news, "Training texts of news")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--medicine", options.medicine, "Training texts of medicine")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--valid", options.valid, "Validation texts, each task")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--test", options.test, "Test texts, each task")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    demo::write(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "holdfast-demo-data: %s\n", error.what());
    return 1;
  }
}
