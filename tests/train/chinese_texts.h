// Generated texts in Chinese: no spaces, full-width punctuation, labels in Chinese.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tensor/random.h"

namespace holdfast::chinese {

/// Two words a label, in the order of the labels.
struct Subject {
  std::vector<std::string> words, labels;
};

inline const Subject& news() {
  static const Subject subject = {{"比赛", "进球", "市场", "股票", "投票", "法律"},
                                  {"体育", "财经", "政治"}};
  return subject;
}
inline const Subject& medical() {
  static const Subject subject = {{"心脏", "动脉", "肿瘤", "细胞"}, {"心脏科", "肿瘤科"}};
  return subject;
}

inline const std::vector<std::string>& fillers() {
  static const std::vector<std::string> words = {"今天", "报告", "说", "新的", "我们", "在", "有"};
  return words;
}

/// Every character of the texts once, for a vocabulary.
inline std::vector<std::string> characters() {
  std::vector<std::string> out = {"，", "。"};
  const auto add = [&](const std::vector<std::string>& words) {
    for (const std::string& word : words) {
      for (std::size_t at = 0; at < word.size(); at += 3) {  // three bytes each
        const std::string character = word.substr(at, 3);
        bool known = false;
        for (const std::string& other : out) known = known || other == character;
        if (!known) out.push_back(character);
      }
    }
  };
  add(fillers());
  add(news().words);
  add(medical().words);
  return out;
}

/// CSV: texts of a few filler words, a comma, a full stop, and one word that tells the label.
inline std::string csv(const Subject& subject, std::int64_t count, std::uint64_t seed) {
  const RandomStream stream(seed, "chinese");
  std::string out = "text,label\n";
  for (std::uint64_t n = 0; n < static_cast<std::uint64_t>(count); ++n) {
    const std::size_t label = stream.below(subject.labels.size(), n, 0);
    const std::size_t length = 2 + stream.below(5, n, 1);
    for (std::size_t w = 0; w < length; ++w) {
      out += fillers()[stream.below(fillers().size(), n, 10 + w)];
    }
    out += "，" + subject.words[2 * label + stream.below(2, n, 2)] + "。," + subject.labels[label] +
           '\n';
  }
  return out;
}

}  // namespace holdfast::chinese
