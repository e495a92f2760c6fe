// The layer diagram of DESIGN.md, checked: no file includes upward, third-party headers stand
// behind their walls, and kernels compiled for one instruction set leave no weak symbol that the
// linker could hand to another.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

struct Include {
  fs::path file;
  std::string header;
};

std::vector<Include> includes_below(const std::string& folder) {
  std::vector<Include> found;
  const fs::path root = fs::path(HOLDFAST_SOURCE) / folder;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    const fs::path extension = entry.path().extension();
    if (extension != ".cpp" && extension != ".h" && extension != ".cu") continue;
    std::ifstream in(entry.path());
    for (std::string line; std::getline(in, line);) {
      if (!line.starts_with("#include ")) continue;
      found.push_back({fs::relative(entry.path(), HOLDFAST_SOURCE),
                       line.substr(10, line.find_first_of("\">", 10) - 10)});
    }
  }
  return found;
}

TEST(Layers, NoIncludePointsUpward) {
  const std::map<std::string, std::set<std::string>> allowed{
      {"base", {}},
      {"tensor", {"base"}},
      {"autograd", {"base", "tensor"}},
      {"nn", {"base", "tensor", "autograd"}},
      {"tokenizer", {"base"}},
      {"train", {"base", "tensor", "autograd", "nn", "tokenizer"}},
      {"audit", {"base", "tensor", "autograd", "nn", "tokenizer", "train"}},
      {"cli", {"base", "tensor", "autograd", "nn", "tokenizer", "train", "audit"}}};
  for (const auto& [folder, below] : allowed) {
    const std::vector<Include> includes = includes_below(folder);
    EXPECT_FALSE(includes.empty()) << folder;
    for (const auto& [file, header] : includes) {
      const std::string top = header.substr(0, header.find('/'));
      if (top == header || !allowed.contains(top)) continue;  // a system header
      EXPECT_TRUE(top == folder || below.contains(top)) << file << " includes " << header;
    }
  }
}

TEST(Layers, ThirdPartyHeadersStandInOneFile) {
  const std::map<std::string, std::set<std::string>> walls{
      {"cblas.h", {"tensor/blas.cpp"}},
      {"dnnl.h", {"tensor/blas.cpp"}},
      {"omp.h", {"tensor/blas.cpp"}},
      {"nlohmann/", {"base/json.cpp"}},
      {"xxhash.h", {"base/hash.cpp"}},
      {"openssl/", {"base/sha256.cpp"}},
      {"cublas", {"tensor/cuda/cublas.cu"}},
      {"cuda_runtime.h", {"tensor/cuda/runtime.cu", "tensor/cuda/cublas.cu"}}};
  std::set<std::string> icu_files;
  for (const char* folder :
       {"base", "tensor", "autograd", "nn", "tokenizer", "train", "audit", "cli"}) {
    for (const auto& [file, header] : includes_below(folder)) {
      if (header.starts_with("unicode/")) icu_files.insert(file.string());
      for (const auto& [prefix, files] : walls) {
        if (header.starts_with(prefix)) {
          EXPECT_TRUE(files.contains(file.string())) << file << " includes " << header;
        }
      }
    }
  }
  EXPECT_EQ(icu_files.size(), 1U);
}

// What nvcc compiles for a device includes numbers alone: nothing of the host's threads, tensors or
// instruction sets. Launches and products belong to the runtime.
TEST(Layers, DeviceCodeIncludesNoHostCode) {
  const std::set<std::string> host{"tensor/cuda/runtime.h", "tensor/cuda/built_in.h"};
  const std::set<std::string> numbers{"base/hash_keys.h",
                                      "tensor/dtype.h",
                                      "tensor/random.h",
                                      "tensor/view_pair.h",
                                      "tensor/kernels/activation.h",
                                      "tensor/kernels/dropout.h",
                                      "tensor/kernels/element.h",
                                      "tensor/kernels/elementwise.h",
                                      "tensor/kernels/embedding_sum.h",
                                      "tensor/kernels/layer_norm.h",
                                      "tensor/kernels/round.h",
                                      "tensor/kernels/softmax.h",
                                      "tensor/kernels/update.h"};
  for (const auto& [file, header] : includes_below("tensor/cuda")) {
    if (file.extension() != ".h" || host.contains(file.string()) || !header.ends_with(".h"))
      continue;
    EXPECT_TRUE((header.starts_with("tensor/cuda/") && !host.contains(header)) ||
                numbers.contains(header))
        << file << " includes " << header;
  }
}

TEST(Layers, KernelObjectsHoldNoWeakSymbols) {
  std::istringstream objects(HOLDFAST_KERNEL_OBJECTS);
  int files = 0;
  for (std::string object; std::getline(objects, object, '|'); ++files) {
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(("nm -C '" + object + "'").c_str(), "r"),
                                                     pclose);
    ASSERT_NE(pipe, nullptr);
    std::array<char, 4096> line{};
    int symbols = 0;
    while (std::fgets(line.data(), line.size(), pipe.get()) != nullptr) {
      const std::string text(line.data());
      ++symbols;
      if (text.find(" DW.ref.") != std::string::npos)
        continue;  // a sanitised build's pointer to a routine: data, no code
      EXPECT_EQ(text.find(" W "), std::string::npos) << object << ": " << text;
      EXPECT_EQ(text.find(" V "), std::string::npos) << object << ": " << text;
    }
    EXPECT_GT(symbols, 0) << object;
  }
  EXPECT_GT(files, 0);
}

}  // namespace
