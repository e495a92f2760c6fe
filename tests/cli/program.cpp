#include "tests/cli/program.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace holdfast::test {
namespace {

/// Forks and executes; the child's standard streams are these descriptors.
pid_t start(const std::filesystem::path& folder, const std::vector<std::string>& arguments,
            const std::string& program, int in, int out, int err) {
  std::vector<std::string> words = {program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("fork failed");
  if (child > 0) return child;
  dup2(in, STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  if (chdir(folder.c_str()) != 0) _exit(126);
  unsetenv("TERM");
  execv(program.c_str(), pointers.data());
  _exit(127);
}

int status_of(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int open_or_throw(const std::filesystem::path& file, int flags) {
  const int number = open(file.c_str(), flags | O_CLOEXEC, 0600);
  if (number < 0) throw std::runtime_error("cannot open " + file.string());
  return number;
}

std::string table(const std::vector<std::pair<std::string, std::string>>& words, int rows,
                  int shift) {
  std::string out = "text,label\n";
  for (int i = 0; i < rows; ++i) {
    const auto& [word, label] = words[static_cast<std::size_t>(i) % words.size()];
    out +=
        "\"the " + word + " of day " + std::to_string((i / 4 + shift) % 10) + "\"," + label + "\n";
  }
  return out;
}

constexpr const char* kConfig = R"({"model_type": "bert", "vocab_size": 100, "hidden_size": 32,
  "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64,
  "max_position_embeddings": 32, "type_vocab_size": 2, "hidden_act": "gelu"})";

constexpr const char* kTrain = R"(model = "fresh"
output = "runs/old"
threads = 1
[new]
name = "old"
train = "old.csv"
valid = "old_valid.csv"
test = "old_test.csv"
max_length = 16
[training]
steps = 150
batch_size = 8
[learning_rate]
rate = 5e-3
)";

constexpr const char* kRecipe = R"(model = "runs/old/model"
output = "runs/new"
threads = 1
[new]
name = "new"
train = "new.csv"
valid = "new_valid.csv"
test = "new_test.csv"
max_length = 16
[[old]]
name = "old"
train = "old.csv"
valid = "old_valid.csv"
test = "old_test.csv"
[training]
steps = 16
batch_size = 8
[learning_rate]
bottom = 1e-3
top = 5e-3
naive = [1e-3, 5e-3]
[replay]
keep = 0.25
[ewc]
lambda = 0.3
[evaluation]
every = 4
)";

}  // namespace

Outcome run(const std::filesystem::path& folder, const std::vector<std::string>& arguments,
            const std::string& input, const std::string& program) {
  const Folder streams;
  write(streams.path() / "in", input);
  const int in = open_or_throw(streams.path() / "in", O_RDONLY);
  const int out = open_or_throw(streams.path() / "out", O_WRONLY | O_CREAT);
  const int err = open_or_throw(streams.path() / "err", O_WRONLY | O_CREAT);
  const pid_t child = start(folder, arguments, program, in, out, err);
  for (const int number : {in, out, err}) close(number);
  const int status = status_of(child);
  return {status, read(streams.path() / "out"), read(streams.path() / "err")};
}

Outcome run_and_interrupt(const std::filesystem::path& folder,
                          const std::vector<std::string>& arguments, const std::string& sign) {
  const Folder streams;
  write(streams.path() / "in", "");
  const int in = open_or_throw(streams.path() / "in", O_RDONLY);
  const int out = open_or_throw(streams.path() / "out", O_WRONLY | O_CREAT);
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe failed");
  const pid_t child = start(folder, arguments, HOLDFAST_BINARY, in, out, pipe_ends[1]);
  for (const int number : {in, out, pipe_ends[1]}) close(number);
  Outcome outcome;
  bool sent = false;
  char byte = 0;
  std::string line;
  while (::read(pipe_ends[0], &byte, 1) == 1) {
    outcome.err += byte;
    line = byte == '\n' ? "" : line + byte;
    if (!sent && line == sign) {
      kill(child, SIGINT);
      sent = true;
    }
  }
  close(pipe_ends[0]);
  outcome.status = status_of(child);
  outcome.out = read(streams.path() / "out");
  return outcome;
}

Folder::Folder() {
  std::string name = (std::filesystem::temp_directory_path() / "holdfast-test-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make " + name);
  path_ = name;
}

Folder::~Folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void write(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary) << text;
}

std::string read(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::set<std::string> listing(const std::filesystem::path& folder) {
  std::set<std::string> out;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    out.insert(entry.path().lexically_relative(folder).string());
  return out;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    out.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

void make_small_project(const std::filesystem::path& folder) {
  const std::vector<std::pair<std::string, std::string>> old_words = {
      {"goal", "sport"}, {"market", "money"}, {"team", "sport"}, {"share", "money"}};
  const std::vector<std::pair<std::string, std::string>> new_words = {
      {"heart", "cardio"}, {"brain", "neuro"}, {"share", "cardio"}, {"goal", "neuro"}};
  int shift = 0;
  for (const auto& [name, words] : {std::pair{"old", old_words}, {"new", new_words}}) {
    for (const auto& [split, rows] : {std::pair{"", 64}, {"_valid", 16}, {"_test", 24}})
      write(folder / (std::string(name) + split + ".csv"), table(words, rows, shift++));
  }
  write(folder / "config.json", kConfig);
  write(folder / "train.toml", kTrain);
  write(folder / "recipe.toml", kRecipe);
  const std::vector<std::vector<std::string>> commands = {
      {"train-tokenizer", "--size", "90", "old.csv", "new.csv", "-o", "vocab.txt"},
      {"init", "--config", "config.json", "--vocab", "vocab.txt", "-o", "fresh"},
      {"train", "train.toml", "--quiet"}};
  for (const auto& arguments : commands) {
    const Outcome outcome = run(folder, arguments);
    ASSERT_EQ(outcome.status, 0) << arguments.front() << ": " << outcome.err;
  }
}

}  // namespace holdfast::test
