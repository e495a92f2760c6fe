// The words of the demo's two tasks. What makes the tasks interfere is kShared: words that speak
// for one class in news and for another in medicine, spread evenly over all pairs of classes, as
// "stroke", "cell" and "growth" are in English.
#pragma once

#include <array>
#include <string_view>

namespace demo {

inline constexpr int kClasses = 4;
inline constexpr int kOwnWords = 16;
inline constexpr int kSharedWords = 5;

using Words = std::array<std::string_view, kOwnWords>;

struct Domain {
  std::array<std::string_view, kClasses> labels;
  std::array<Words, kClasses> own;  // words of one class that the other task does not know
};

inline constexpr Domain kNews = {
    {"world", "sports", "business", "technology"},
    {{
        {"parliament", "treaty", "embassy", "refugees", "ceasefire", "diplomat", "minister",
         "election", "militia", "sanctions", "protest", "territory", "summit", "hostage", "rebels",
         "referendum"},
        {"goalkeeper", "tournament", "championship", "coach", "striker", "league", "innings",
         "penalty", "marathon", "quarterback", "stadium", "playoff", "referee", "medal", "wicket",
         "sprint"},
        {"shareholders", "merger", "dividend", "earnings", "profit", "retailer", "mortgage",
         "investors", "bankruptcy", "currency", "wages", "tariff", "auditor", "exports", "bonds",
         "brokerage"},
        {"software", "browser", "satellite", "laptop", "encryption", "startup", "robotics",
         "broadband", "spacecraft", "semiconductor", "website", "console", "download", "telescope",
         "server", "gadget"},
    }}};

inline constexpr Domain kMedicine = {
    {"cardiology", "neurology", "oncology", "gastroenterology"},
    {{
        {"artery", "angina", "myocardium", "arrhythmia", "ventricle", "aorta", "hypertension",
         "infarction", "stent", "palpitations", "atrium", "thrombosis", "angioplasty",
         "cholesterol", "endocarditis", "ischemia"},
        {"epilepsy", "migraine", "dementia", "neuropathy", "cerebellum", "sclerosis", "meningitis",
         "aphasia", "paralysis", "neuron", "hippocampus", "ataxia", "insomnia", "palsy",
         "encephalitis", "vertigo"},
        {"carcinoma", "metastasis", "lymphoma", "chemotherapy", "melanoma", "biopsy", "leukemia",
         "sarcoma", "tumor", "malignancy", "neoplasm", "adenoma", "radiotherapy", "glioma",
         "myeloma", "cytology"},
        {"ulcer", "hepatitis", "pancreas", "cirrhosis", "colitis", "jaundice", "reflux",
         "endoscopy", "gallstones", "duodenum", "diarrhea", "appendix", "bile", "gastritis",
         "constipation", "esophagus"},
    }}};

/// kShared[i][j]: evidence for class i of the news and for class j of medicine.
inline constexpr std::array<std::array<std::array<std::string_view, kSharedWords>, kClasses>,
                            kClasses>
    kShared = {{
        {{{"attack", "arrest", "blockade", "pressure", "failure"},
          {"shock", "seizure", "tension", "trauma", "conflict"},
          {"invasion", "border", "radiation", "resistance", "advance"},
          {"rupture", "hunger", "obstruction", "contamination", "corridor"}}},
        {{{"rhythm", "pace", "beat", "pulse", "exertion"},
          {"stroke", "reflex", "balance", "concussion", "coordination"},
          {"stage", "grade", "marker", "target", "clearance"},
          {"bowl", "diet", "intake", "weight", "lining"}}},
        {{{"flow", "circulation", "volume", "inflation", "vessel"},
          {"depression", "tremor", "decline", "recession", "deficit"},
          {"growth", "mass", "expansion", "remission", "yield"},
          {"consumption", "absorption", "turnover", "output", "supply"}}},
        {{{"monitor", "valve", "pump", "circuit", "device"},
          {"network", "signal", "processing", "memory", "transmission"},
          {"cell", "mutation", "scan", "screening", "imaging"},
          {"virus", "tube", "channel", "probe", "filter"}}},
    }};

// Words and names that say nothing about any class.
inline constexpr auto kPlaces = std::to_array<std::string_view>(
    {"Lisbon", "Nairobi", "Toronto", "Osaka", "Lima", "Warsaw", "Cairo", "Bergen", "Manila",
     "Leipzig", "Quito", "Accra", "Porto", "Hanoi", "Bristol", "Denver"});
inline constexpr auto kTimes = std::to_array<std::string_view>(
    {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday", "last week",
     "in March", "in October", "this spring", "overnight"});
inline constexpr auto kAdjectives = std::to_array<std::string_view>(
    {"recent",   "unusual", "sudden", "early",   "severe",   "mild",    "repeated", "possible",
     "expected", "major",   "minor",  "new",     "old",      "steady",  "partial",  "clear",
     "local",    "rare",    "common", "late",    "likely",   "further", "serious",  "brief",
     "complete", "limited", "marked", "earlier", "reported", "general"});
inline constexpr auto kAdverbs = std::to_array<std::string_view>(
    {"again", "slowly", "clearly", "rarely", "partly", "soon", "mostly", "often", "quickly",
     "almost", "largely", "indeed", "however", "perhaps", "already", "still"});

// Sentences. {k} a word that speaks for the text's class, {o} for another one; {p} place, {t} time,
// {a} adjective, {v} adverb, {n} number.
inline constexpr auto kNewsMain = std::to_array<std::string_view>(
    {"{a} {k} in {p} led to {a} {k} {t}", "reports from {p} {t} pointed to {k} and {a} {k}",
     "{p} {v} faced {k} after the {a} {k}",
     "officials said {t} that the {k} would {v} change the {k}",
     "crowds in {p} saw {a} {k} and {k}", "the {a} {k} of {p} met {k} {t}",
     "{n} people in {p} followed the {k} and the {k}", "{k} in {p} {v} ended with {a} {k}"});
inline constexpr auto kNewsAside = std::to_array<std::string_view>(
    {"elsewhere {p} discussed {o}", "readers also asked about {a} {o}",
     "another story of the day was {o} in {p}", "the paper {v} returned to {o}",
     "{t} there had been talk of {a} {o}", "a second item mentioned {o}"});
inline constexpr auto kMedicineMain = std::to_array<std::string_view>(
    {"we conclude that {a} {k} goes with {k}", "the final diagnosis rested on {k} and {a} {k}",
     "follow up {v} confirmed {k} with {k}", "results show {a} {k} in {n} of the patients with {k}",
     "treatment {v} reduced {k} and the {a} {k}", "in these patients {k} predicted {a} {k}",
     "after {n} weeks {k} was {v} replaced by {k}", "{k} and {a} {k} were the main findings"});
inline constexpr auto kMedicineAside = std::to_array<std::string_view>(
    {"a patient aged {n} was first seen for {o}", "the history included {a} {o}",
     "{o} had been ruled out {t}", "we studied {n} adults with {a} {o}",
     "earlier work {v} looked at {o}", "symptoms of {o} were {v} absent"});

}  // namespace demo
