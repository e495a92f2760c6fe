#include "cli/conversions.h"

#include <fmt/format.h>

#include <optional>

#include "cli/table.h"

namespace holdfast::cli {
namespace {

constexpr const char* kPenalty = "lambda * sum_i F_i (theta_i - theta_old,i)^2";

struct Kind {
  ImportanceKind kind;
  const char* formula;
};
constexpr Kind kKinds[] = {
    {ImportanceKind::true_fisher,
     "F_i = 1/N sum_n sum_y p(y|x_n) (d log p(y|x_n) / d theta_i)^2, K-1 backward passes"},
    {ImportanceKind::empirical,
     "F_i = 1/N sum_n (d log p(y_n|x_n) / d theta_i)^2 at the observed labels"},
    {ImportanceKind::sampled, "the same at a label drawn from p(y|x_n): the true one on average"},
    {ImportanceKind::sketch, "a random sum over all labels at once: the true one on average"},
    {ImportanceKind::mas,
     "F_i = 1/N sum_n |d ||z(x_n)||^2 / d theta_i| of the logits z, no labels; no Fisher "
     "information"}};

struct Conversion {
  const char *whose, *penalty, *fisher, *lambda;
  std::optional<double> factor;  // none: it depends on more than F
  bool per_batch = false;        // to be divided by B
};
constexpr Conversion kConversions[] = {
    {"Kirkpatrick, van de Ven", "lam/2 F d^2", "per text", "lam/2", 0.5},
    {"Avalanche", "lam F d^2", "(gradient of the batch's mean)^2", "about lam/B", 1, true},
    {"FACIL, PyContinual", "lam/2 F d^2", "mean of (batch's mean gradient)^2", "about lam/(2B)",
     0.5, true},
    {"mammoth ewc_on", "lam F d^2", "mean of p_y g^2", "lam sum(p g^2)/sum(g^2)", {}},
    {"RecAdam", "(w-k) g/2 d^2", "identity, decoupled", "not comparable", {}}};

// What to multiply another system's lambda by, on raw F.
std::optional<double> factor_of(const Conversion& conversion, std::int64_t batch) {
  if (!conversion.factor || !conversion.per_batch) return conversion.factor;
  return *conversion.factor / static_cast<double>(batch);
}

bool is_fisher(const Importance& measured) {
  return measured.kind != ImportanceKind::mas && measured.kind != ImportanceKind::si;
}

}  // namespace

std::string explanation() {
  std::string text = fmt::format("holdfast's penalty: {}, without 1/2, on\n", kPenalty);
  for (const Kind& kind : kKinds) {
    text += fmt::format("  {:<10} {}\n", name_of(kind.kind), kind.formula);
  }
  text +=
      "each text's gradient by itself, dropout off. With normalize = \"mean\" F is then divided "
      "by\n"
      "its mean over the parameters with F > 0, which `fisher` prints. Another system's lambda, on "
      "raw F:\n\n";
  constexpr const char* kRow = "{:<23}  {:<13}  {:<33}  {}\n";
  text += fmt::format(kRow, "whose lambda", "its penalty", "its F", "lambda here");
  for (const Conversion& one : kConversions) {
    text += fmt::format(kRow, one.whose, one.penalty, one.fisher, one.lambda);
  }
  return text +
         "B: texts in a batch; with normalize = \"mean\" multiply the last column by the printed "
         "mean of F\n";
}

std::string conversion_table(const Importance& measured, std::int64_t batch) {
  if (!is_fisher(measured)) {
    return fmt::format("lambdas of EWC do not convert: {} is no Fisher information\n",
                       name_of(measured.kind));
  }
  Table table({"whose lambda", "times, on raw F", "times, with normalize = \"mean\""});
  for (const Conversion& one : kConversions) {
    const std::optional<double> factor = factor_of(one, batch);
    const auto text = [&](double scale) {
      return factor ? fmt::format("{:.4g}", *factor * scale) : "-";
    };
    table.add({one.whose, text(1), text(measured.scale.mean_positive)});
  }
  return fmt::format("Another system's lambda here, with its B = {} (--batch):\n", batch) +
         table.text();
}

Json conversions_json(const Importance* measured, std::int64_t batch) {
  Json kinds = Json::object();
  for (const Kind& kind : kKinds) kinds.add(std::string(name_of(kind.kind)), kind.formula);
  const bool convertible = measured == nullptr || is_fisher(*measured);
  Json rows = Json::list();
  for (const Conversion& one : kConversions) {
    const std::optional<double> factor = convertible ? factor_of(one, batch) : std::nullopt;
    rows.push_back(Json::object(
        {{"whose", one.whose},
         {"penalty", one.penalty},
         {"fisher", one.fisher},
         {"lambda", one.lambda},
         {"factor_raw", factor ? Json(*factor) : Json()},
         {"factor_mean",
          factor && measured ? Json(*factor * measured->scale.mean_positive) : Json()}}));
  }
  return Json::object({{"penalty", kPenalty},
                       {"kinds", std::move(kinds)},
                       {"batch", batch},
                       {"conversions", std::move(rows)}});
}

}  // namespace holdfast::cli
