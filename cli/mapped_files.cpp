#include "cli/mapped_files.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>
#include <string_view>

#include "base/utf8.h"
#include "cli/command.h"

namespace holdfast::cli {

namespace fs = std::filesystem;

namespace {

extern "C" void on_bus_error(int) {
  constexpr std::string_view text =
      "holdfast: a file of the model was cut short while it was read; run it again\n";
  if (write(STDERR_FILENO, text.data(), text.size()) < 0) _exit(kFailed);
  _exit(kRefused);
}

}  // namespace

MappedFiles::MappedFiles(std::string directory)
    : directory_(std::move(directory)), start_(stamp()) {
  signal(SIGBUS, on_bus_error);
}

MappedFiles::Stamp MappedFiles::stamp() const {
  Stamp out;
  std::error_code none;  // a folder that is not there has no files; loading says so
  for (const fs::directory_entry& file : fs::directory_iterator(directory_, none)) {
    if (file.path().extension() == ".safetensors" && file.is_regular_file(none))
      out.push_back(
          {file.path().filename().string(),
           {file.file_size(none), file.last_write_time(none).time_since_epoch().count()}});
  }
  std::ranges::sort(out);
  return out;
}

void MappedFiles::check_unchanged() const {
  if (stamp() != start_)
    throw std::runtime_error(utf8::printable(directory_) +
                             ": the weights were changed while they were read; run it again");
}

}  // namespace holdfast::cli
