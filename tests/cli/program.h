// Runs holdfast as a child process, and folders for it to work in.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

namespace holdfast::test {

struct Outcome {
  int status = -1;  // exit status; 128 + signal when killed by one
  std::string out, err;
};

/// Runs `program` (default: holdfast) in `folder`, waits for its end.
Outcome run(const std::filesystem::path& folder, const std::vector<std::string>& arguments,
            const std::string& input = "", const std::string& program = HOLDFAST_BINARY);

/// Starts holdfast in `folder`, reads its standard error until a line begins with `sign`, sends
/// SIGINT and waits for the end. `err` is all that it wrote there.
Outcome run_and_interrupt(const std::filesystem::path& folder,
                          const std::vector<std::string>& arguments, const std::string& sign);

/// A fresh folder that is removed at the end.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

void write(const std::filesystem::path& file, const std::string& text);
std::string read(const std::filesystem::path& file);
/// All files and folders below, by relative name.
std::set<std::string> listing(const std::filesystem::path& folder);
std::vector<std::string> lines_of(const std::string& text);

/// Makes in `folder`: old.csv and new.csv with *_valid.csv and *_test.csv, vocab.txt, fresh/ (a
/// BERT of one small layer), train.toml (learns the old task into runs/old) and recipe.toml (then
/// the new one into runs/new). The old task has been learnt.
void make_small_project(const std::filesystem::path& folder);

}  // namespace holdfast::test
