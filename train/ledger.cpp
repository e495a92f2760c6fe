#include "train/ledger.h"

#include <stdexcept>

#include "base/utf8.h"

namespace holdfast {

Ledger::Ledger(const std::filesystem::path& path)
    : path_(path), out_(path, std::ios::binary | std::ios::trunc) {
  if (!out_) {
    throw std::runtime_error(utf8::printable(path.string()) + ": cannot be written");
  }
}

void Ledger::write(std::string_view kind, const Json& members) {
  Json line = Json::object({{"kind", kind}});
  for (const auto& [key, value] : members.items()) {
    line.add(key, value);
  }
  out_ << line.dump() << '\n' << std::flush;
  if (!out_) {
    throw std::runtime_error(utf8::printable(path_.string()) + ": cannot be written: disk full?");
  }
}

}  // namespace holdfast
