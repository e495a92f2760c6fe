#include "cli/usage.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <vector>

#include "base/text.h"
#include "base/utf8.h"
#include "tensor/device.h"

namespace holdfast::cli {
namespace {

/// The command that was chosen, or the program itself.
const CLI::App& chosen(const CLI::App& app) {
  const auto commands = app.get_subcommands();
  return commands.empty() ? app : *commands.front();
}

void add_options(const CLI::App& app, std::vector<std::string>& names) {
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) names.push_back('-' + name);
  }
  const auto is_group = [](const CLI::App* sub) { return sub->get_name().empty(); };
  for (const CLI::App* group : app.get_subcommands(is_group)) add_options(*group, names);
}

std::string sentence(const std::string& fact, const std::string& meant, const CLI::App& app) {
  const std::string command = app.get_parent() ? app.get_name() + ' ' : "";
  return utf8::printable(fact) + (meant.empty() ? fmt::format("; see `holdfast {}--help`", command)
                                                : fmt::format("; did you mean {}?", meant));
}

std::string unknown_option(const std::string& word, const CLI::App& app) {
  const std::string name = word.substr(0, word.find('='));
  std::vector<std::string> known;
  add_options(app, known);
  if (std::ranges::find(known, name) != known.end()) return name + " must stand before --";
  const std::string of = app.get_parent() ? app.get_name() + " has" : "there is";
  return sentence(fmt::format("{} no option {}", of, name), nearest(name, known), app);
}

std::string unknown_command(const std::string& word, const CLI::App& app) {
  std::vector<std::string> known;
  for (const CLI::App* command : app.get_subcommands(nullptr)) known.push_back(command->get_name());
  return sentence("there is no command " + word, nearest(word, known), app);
}

template <class Number>
std::optional<Number> number_of(const std::string& text) {
  Number number{};
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, number);
  return result.ec == std::errc() && result.ptr == end ? std::optional(number) : std::nullopt;
}

/// Whether a number is written, however large.
bool all_digits(const std::string& text) {
  const std::size_t first = text.starts_with('-') ? 1 : 0;
  return text.size() > first &&
         std::all_of(text.begin() + static_cast<std::ptrdiff_t>(first), text.end(),
                     [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

std::string misunderstood(const CLI::App& app) {
  for (const CLI::App* level : {&app, &chosen(app)}) {
    std::vector<std::string> left = level->remaining();
    std::erase(left, "--");
    const auto is_option = [](const std::string& word) { return word.starts_with('-'); };
    const auto option = std::ranges::find_if(left, is_option);
    if (option != left.end() && level == &app && chosen(app).get_option_no_throw(*option))
      return fmt::format("{0} belongs after the command: holdfast {1} {0}", *option,
                         chosen(app).get_name());
    if (option != left.end()) return unknown_option(*option, *level);
    if (left.empty()) continue;
    return level == &app
               ? unknown_command(left.front(), app)
               : sentence(fmt::format("{} takes no \"{}\"", level->get_name(), left.front()), "",
                          *level);
  }
  return "";
}

bool no_such_command(const CLI::App& app) { return !app.remaining().empty(); }

CLI::Validator whole_number(std::int64_t low, std::int64_t high, const std::string& word) {
  const bool endless = high == std::numeric_limits<std::int64_t>::max();
  const std::string must =
      (word.empty() ? "must be " : fmt::format("must be {} or ", word)) +
      (endless ? fmt::format("at least {}", low) : fmt::format("from {} to {}", low, high));
  const auto check = [=](const std::string& text) -> std::string {
    if (!word.empty() && text == word) return "";
    const std::optional<std::int64_t> number = number_of<std::int64_t>(text);
    if (number && *number >= low && *number <= high) return "";
    const char* kind = number || all_digits(text) ? "" : ", a whole number";
    return fmt::format("{}{}, found {}", must, kind, utf8::printable(text));
  };
  return {check, ""};
}

CLI::Validator share() {
  const auto check = [](const std::string& text) -> std::string {
    const std::optional<double> number = number_of<double>(text);
    if (number && *number >= 0 && *number <= 1) return "";
    return "must be a number from 0 to 1, found " + utf8::printable(text);
  };
  return {check, ""};
}

CLI::Validator device_name() {
  const auto check = [](const std::string& text) -> std::string {
    try {
      parse_device(text);
      return "";
    } catch (const std::invalid_argument&) {
      return "must be cpu, cuda or cuda:N, found " + utf8::printable(text);
    }
  };
  return {check, ""};
}

CLI::Validator byte_size() {
  const auto change = [](std::string& text) -> std::string {
    const std::optional<std::int64_t> bytes = parse_bytes(text);
    if (!bytes || *bytes < 1)
      return "must be at least 1 byte, as in 4096, 512KiB, 16MiB or 2GiB, found " +
             utf8::printable(text);
    text = std::to_string(*bytes);
    return "";
  };
  return {change, ""};
}

}  // namespace holdfast::cli
