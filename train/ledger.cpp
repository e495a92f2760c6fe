#include "train/ledger.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/sha256.h"
#include "base/utf8.h"

namespace holdfast {
namespace {

constexpr std::int64_t kMaxLedgerBytes = std::int64_t{1} << 33;
constexpr std::string_view kBeforeChain = ",\"chain\":\"";
constexpr std::size_t kChainDigits = 64;
// Of a line's end: the member, its closing quote and the object's brace.
constexpr std::size_t kChainBytes = kBeforeChain.size() + kChainDigits + 2;

std::string chain_of(const std::string& before, std::string_view line) {
  return sha256(before + std::string(line));
}

// The chain that `line` claims, if it is the one that it must have.
std::optional<std::string> checked_chain(const std::string& before, std::string_view line) {
  if (line.size() <= kChainBytes) {
    return std::nullopt;
  }
  const std::string_view members = line.substr(0, line.size() - kChainBytes);
  const std::string chain = chain_of(before, std::string(members) + '}');
  const std::string expected = fmt::format("{}{}\"}}", kBeforeChain, chain);
  return line.substr(members.size()) == expected ? std::optional(chain) : std::nullopt;
}

// `members` with more of them in its "execution".
Json with_execution(Json members, const Json::Object& more) {
  const Json* own = members.find("execution");
  Json execution = own ? *own : Json::object();
  for (const auto& [key, value] : more) {
    execution.set(key, value);
  }
  members.set("execution", std::move(execution));
  return members;
}

}  // namespace

void Ledger::write(std::string_view kind, const Json& members) {
  const bool first = !execution_.empty();
  std::string line =
      (first ? with_execution(members, std::exchange(execution_, {})) : members).dump();
  line.replace(
      0, 1, fmt::format("{{\"kind\":{}{}", Json(kind).dump(), members.items().empty() ? "" : ","));
  chain_ = chain_of(chain_, line);
  line.pop_back();  // the brace
  line.append(kBeforeChain).append(chain_).append("\"}\n");
  file_.append(line);
  if (first || kind == "save" || kind == "end") {
    file_.sync();
  }
}

LedgerReader::LedgerReader(const std::filesystem::path& path)
    : name_(utf8::printable(path.filename().string())), text_(read_file(path, kMaxLedgerBytes)) {
  std::size_t begin = 0;
  std::string chain;
  for (std::size_t end = text_.find('\n'); end != std::string::npos;
       end = text_.find('\n', begin)) {
    const std::optional<std::string> next =
        checked_chain(chain, std::string_view(text_).substr(begin, end - begin));
    if (!next) {
      break;
    }
    chain = *next;
    begin = end + 1;
    places_.push_back({static_cast<std::int64_t>(begin), chain});
  }
}

std::size_t LedgerReader::unread() const {
  const std::string_view after = std::string_view(text_).substr(rest());
  const std::size_t first = after.find('\n');
  if (first == std::string_view::npos) {
    return 0;
  }
  return static_cast<std::size_t>(std::ranges::count(after.substr(first + 1), '\n')) +
         (after.back() == '\n' ? 0 : 1);
}

std::string LedgerReader::where(std::size_t i) const { return fmt::format("{}:{}", name_, i + 1); }

Json LedgerReader::line(std::size_t i) const {
  const auto begin = static_cast<std::size_t>(i > 0 ? places_[i - 1].bytes : 0);
  const auto end = static_cast<std::size_t>(places_[i].bytes);
  return Json::parse(std::string_view(text_).substr(begin, end - begin), where(i));
}

std::optional<std::size_t> LedgerReader::find(const LedgerPlace& place) const {
  const auto found =
      std::lower_bound(places_.begin(), places_.end(), place.bytes,
                       [](const LedgerPlace& p, std::int64_t bytes) { return p.bytes < bytes; });
  if (found == places_.end() || found->bytes != place.bytes || found->chain != place.chain) {
    return std::nullopt;
  }
  return static_cast<std::size_t>(found - places_.begin());
}

std::string LineDifference::text() const {
  const auto shown = [](const Json& value) { return value.is_null() ? "absent" : value.dump(); };
  return fmt::format("{} is {}, was {}", utf8::printable(member), shown(is), shown(was));
}

namespace {

std::optional<LineDifference> difference(const std::string& name, const Json& was, const Json& is);

std::optional<LineDifference> of_objects(const std::string& prefix, const Json& was, const Json& is,
                                         bool top) {
  const auto ignored = [&](const std::string& key) {
    return top && (key == "seconds" || key == "execution" || key == "chain");
  };
  for (const auto& [key, value] : was.items()) {
    const Json* other = is.find(key);
    if (ignored(key)) {
      continue;
    }
    if (const auto found = difference(prefix + key, value, other ? *other : Json())) {
      return found;
    }
  }
  for (const auto& [key, value] : is.items()) {
    if (!ignored(key) && !was.find(key)) {
      return LineDifference{prefix + key, {}, value};
    }
  }
  return std::nullopt;
}

std::optional<LineDifference> difference(const std::string& name, const Json& was, const Json& is) {
  if (was.is_object() && is.is_object()) {
    return of_objects(name + '.', was, is, false);
  }
  if (was.is_array() && is.is_array() && was.array().size() == is.array().size()) {
    for (std::size_t i = 0; i < was.array().size(); ++i) {
      if (const auto found =
              difference(fmt::format("{}.{}", name, i), was.array()[i], is.array()[i])) {
        return found;
      }
    }
    return std::nullopt;
  }
  return was == is ? std::nullopt : std::optional(LineDifference{name, was, is});
}

}  // namespace

std::optional<LineDifference> first_difference(const Json& was, const Json& is) {
  return of_objects("", was, is, true);
}

}  // namespace holdfast
